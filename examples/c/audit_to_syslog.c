/*
 * Security events to syslog(3): each one is a line of JSON under the facility authpriv, failures as warnings. A daemon's
 * shape: it starts, and lives until SIGTERM or SIGINT, whatever the network does meanwhile.
 *
 *   cc audit_to_syslog.c $(pkg-config --cflags --libs genesys-ws-auth) -o audit_to_syslog
 *   ./audit_to_syslog & journalctl -f -t recorder
 *
 * Reads the environment: see settings.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "settings.h"
#include <genesys_ws_auth.h>
#include <signal.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

/*
 * On gwa-dispatch: a slow syslogd holds up neither the connection nor a renewal; records wait in a queue, and should it
 * overflow, an audit_loss record says which are missing. Quotes inside JSON texts are escaped, so what is searched for
 * here is the member and cannot be part of a value.
 */
static int32_t on_siem(void *user_data, const gwa_audit_t *record)
{
    const char *json = gwa_audit_json(record, NULL);
    (void)user_data;
    syslog(strstr(json, "\"severity\":\"warning\"") != NULL ? LOG_WARNING : LOG_INFO, "%s", json);
    return 0; /* anything else: this sink has failed; counted and logged */
}

/* What the library has to say beside events: with the severity it has there, from debug on. */
static void on_log(void *user_data, int32_t level, const char *target, const char *text)
{
    static const int severities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
    (void)user_data;
    if (level <= GWA_LOG_DEBUG)
        syslog(LOG_DAEMON | severities[level - GWA_LOG_ERROR], "%s: %s", target, text);
}

/* Given up for good: nothing will come any more. */
static void on_state(void *user_data, const gwa_event_t *event)
{
    (void)user_data;
    if (gwa_event_state_to(event) == GWA_STATE_FAILED)
        kill(getpid(), SIGTERM);
}

static gwa_status_t make(gwa_client_t **client, gwa_error_t **error)
{
    gwa_config_t *config = NULL;
    gwa_status_t status = gwa_config_new(&config);
    if (status == GWA_OK && (status = settings_from_env(config, error)) == GWA_OK &&
        (status = gwa_config_on_siem(config, on_siem, NULL, NULL)) == GWA_OK &&
        (status = gwa_config_on_log(config, on_log, NULL, NULL)) == GWA_OK &&
        (status = gwa_config_on_state(config, on_state, NULL, NULL)) == GWA_OK)
        status = gwa_client_new(config, client, error);
    gwa_config_free(config);
    return status;
}

int main(void)
{
    gwa_client_t *client = NULL;
    gwa_error_t *error = NULL;
    gwa_status_t status = make(&client, &error);
    int32_t state = GWA_STATE_IDLE;
    sigset_t ends;
    int number;
    openlog("recorder", LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    if (status == GWA_OK && (status = gwa_client_start(client, &error)) == GWA_OK)
        sigwait(&ends, &number);
    if (status != GWA_OK)
        syslog(LOG_CRIT, "%s", error != NULL ? gwa_error_message(error, NULL) : gwa_status_text(status));
    gwa_error_free(error);
    gwa_client_state(client, &state);
    /* A shutdown delivers the records that wait, that of the end included; free alone would do so, too. */
    if (status == GWA_OK)
        status = gwa_client_shutdown(client, 5000, NULL, NULL);
    status = gwa_client_free(client) == GWA_OK ? status : GWA_DEFERRED;
    closelog();
    return status == GWA_OK && state != GWA_STATE_FAILED ? 0 : 1;
}
