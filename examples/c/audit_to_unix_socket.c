/*
 * Security events as syslog messages of RFC 5424 to a datagram socket of the Unix domain, SYSLOG_SOCKET (/dev/log). Lives until
 * SIGTERM or SIGINT. What listens there has to expect this format, not the older one of syslog(3):
 *
 *   syslog-ng   source { unix-dgram("/run/recorder.log" flags(syslog-protocol)); };
 *   rsyslog     input(type="imuxsock" Socket="/run/recorder.log" UseSpecialParser="off" ParseHostname="on")
 *
 *   cc audit_to_unix_socket.c $(pkg-config --cflags --libs genesys-ws-auth) -o audit_to_unix_socket
 *   SYSLOG_SOCKET=/run/recorder.log ./audit_to_unix_socket
 *
 * Reads the environment: see settings.h.
 */
#define _DEFAULT_SOURCE
#include "settings.h"
#include <errno.h>
#include <genesys_ws_auth.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int to = -1;
static const char *path = "/dev/log";

static int reopen(void)
{
    struct sockaddr_un address;
    const struct timeval patience = {1, 0};
    if (to >= 0)
        close(to);
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path, strlen(path)); /* main has looked: it fits */
    to = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return to < 0 || setsockopt(to, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0 ||
           connect(to, (const struct sockaddr *)&address, sizeof address) != 0;
}

/*
 * On gwa-dispatch. A daemon that was restarted has another socket of the same name: one more try. One that does not read holds
 * a record up for a second, not for another one; then the record is gone, which the library counts and its number shows.
 */
static int32_t on_siem(void *user_data, const gwa_audit_t *record)
{
    size_t size;
    const char *message = gwa_audit_json(record, &size); /* not JSON: the form that audit.siem_format asks for */
    (void)user_data;
    if (to >= 0 && send(to, message, size, MSG_NOSIGNAL) == (ssize_t)size)
        return 0;
    return (to >= 0 && errno == EAGAIN) || reopen() || send(to, message, size, MSG_NOSIGNAL) != (ssize_t)size;
}

static gwa_status_t make(gwa_client_t **client, gwa_error_t **error)
{
    static const char form[] = "{\"audit.siem_format\":\"rfc5424\",\"audit.syslog_facility\":\"authpriv\"}";
    char host[256] = "";
    gwa_config_t *config = NULL;
    gwa_status_t status = gwa_config_new(&config);
    gethostname(host, sizeof host - 1);
    if (status == GWA_OK && (status = settings_from_env(config, error)) == GWA_OK &&
        (status = gwa_config_set_json(config, form, sizeof form - 1, error)) == GWA_OK &&
        (status = gwa_config_set(config, "audit.syslog_hostname", host, error)) == GWA_OK &&
        (status = gwa_config_on_siem(config, on_siem, NULL, NULL)) == GWA_OK)
        status = gwa_client_new(config, client, error);
    gwa_config_free(config);
    return status;
}

int main(void)
{
    gwa_client_t *client = NULL;
    gwa_error_t *error = NULL;
    gwa_status_t status;
    sigset_t ends;
    int number;
    path = getenv("SYSLOG_SOCKET") != NULL ? getenv("SYSLOG_SOCKET") : path;
    if (strlen(path) >= sizeof ((struct sockaddr_un *)0)->sun_path) {
        fprintf(stderr, "%s: the path of a socket is shorter\n", path);
        return 2; /* cut off, it would be another socket's */
    }
    status = make(&client, &error);
    sigemptyset(&ends), sigaddset(&ends, SIGINT), sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    if (status == GWA_OK && (status = gwa_client_start(client, &error)) == GWA_OK) {
        sigwait(&ends, &number);
        status = gwa_client_shutdown(client, 5000, NULL, &error); /* delivers the records that wait */
    }
    if (status != GWA_OK)
        fprintf(stderr, "%s\n", error != NULL ? gwa_error_message(error, NULL) : gwa_status_text(status));
    gwa_error_free(error);
    status = gwa_client_free(client) == GWA_OK ? status : GWA_DEFERRED;
    if (to >= 0)
        close(to);
    return status == GWA_OK ? 0 : 1;
}
