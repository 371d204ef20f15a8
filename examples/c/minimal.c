/*
 * Shows states, gaps, audit records and a line a second; ends on SIGINT, SIGTERM, or after its argument of seconds.
 *   cc minimal.c $(pkg-config --cflags --libs genesys-ws-auth) -o minimal
 * Reads GENESYS_REGION, GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET and GENESYS_REFRESH_TOKEN; for an organisation in Genesys
 * Cloud GWA_PROFILE=notifications and GWA_TOPICS, for the simulator GWA_TOKEN_URL, GWA_WS_URL and GWA_CA_FILE.
 */
#define _POSIX_C_SOURCE 200809L
#include <genesys_ws_auth.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    interrupted = signal_number;
}

/* Callbacks come from one thread of the library; what they are given lives until they return. */
static void on_message(void *user_data, const gwa_event_t *message)
{
    if (user_data != NULL) /* GWA_SHOW_MESSAGES is set */
        printf("message  %s\n", (const char *)gwa_event_data(message, NULL));
}

static void on_state(void *user_data, const gwa_event_t *event)
{
    (void)user_data;
    if (gwa_event_kind(event) == GWA_EVENT_STATE)
        printf("state    %s (%s)\n", gwa_state_name(gwa_event_state_to(event)), gwa_event_reason(event, NULL));
    else if (gwa_event_kind(event) == GWA_EVENT_GAP_BEGIN)
        printf("gap      %lu begins: %s\n", (unsigned long)gwa_event_gap_number(event),
               gwa_status_text(gwa_event_outcome(event)));
    else if (gwa_event_kind(event) == GWA_EVENT_GAP_END)
        printf("gap      %lu ends after %lu ms\n", (unsigned long)gwa_event_gap_number(event),
               (unsigned long)gwa_event_gap_duration_ms(event));
}

static int32_t on_audit(void *user_data, const gwa_audit_t *record)
{
    (void)user_data;
    return printf("audit    %s\n", gwa_audit_json(record, NULL)) < 0; /* not 0: counted as a failure of this sink */
}

static void show(gwa_client_t *client, const char *end_of_line)
{
    gwa_metrics_t m;
    gwa_token_t *token;
    int32_t state = GWA_STATE_IDLE;
    long age = -1; /* no token in use */
    GWA_METRICS_INIT(&m);
    gwa_client_metrics(client, &m);
    gwa_client_state(client, &state);
    if (gwa_client_token(client, 0, 0, &token, NULL) == GWA_OK) {
        age = (long)(time(NULL) - (time_t)(gwa_token_granted_at_ms(token) / 1000));
        gwa_token_free(token);
    }
    printf("now      state=%s token_age_s=%ld messages=%lu renewals=%lu connects=%lu gaps=%lu%s\n",
           gwa_state_name(state), age, (unsigned long)m.messages_received, (unsigned long)m.renewals,
           (unsigned long)m.connects, (unsigned long)m.gaps, end_of_line);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static const char *const given[][2] = {
        {"GWA_TOKEN_URL", "token.url"}, {"GWA_WS_URL", "ws.url"}, {"GWA_CA_FILE", "tls.ca_file"},
        {"GWA_PROFILE", "profile"}, {"GWA_TOPICS", "notifications.topics"}, {"GWA_PROXY", "proxy"}};
    long seconds = argc > 1 ? atol(argv[1]) : -1;
    gwa_config_t *config = NULL;
    gwa_client_t *client = NULL;
    gwa_error_t *error = NULL;
    gwa_status_t status = gwa_config_new(&config);
    for (size_t i = 0; status == GWA_OK && i < 6; i++)
        if (getenv(given[i][0]))
            status = gwa_config_set(config, given[i][1], getenv(given[i][0]), &error);
    if (status == GWA_OK && (status = gwa_config_set_from_env(config, &error)) == GWA_OK)
        status = gwa_config_set(config, "scopes.required", "conversation:read", &error);
    gwa_config_on_message(config, on_message, getenv("GWA_SHOW_MESSAGES"), NULL);
    gwa_config_on_state(config, on_state, NULL, NULL);
    gwa_config_on_audit(config, on_audit, NULL, NULL);
    if (status == GWA_OK && (status = gwa_client_new(config, &client, &error)) == GWA_OK)
        status = gwa_client_connect(client, 30000, &error);
    gwa_config_free(config); /* the client has its copy */
    if (error != NULL)
        fprintf(stderr, "%s\n%s\n", gwa_error_message(error, NULL), gwa_error_hint(error, NULL));
    gwa_error_free(error);
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    for (; status == GWA_OK && !interrupted && seconds != 0; seconds -= seconds > 0) {
        sleep(1); /* or until a signal */
        show(client, "");
    }
    if (status == GWA_OK && (status = gwa_client_shutdown(client, 5000, NULL, NULL)) == GWA_OK)
        show(client, " shutdown=clean");
    return gwa_client_free(client) == GWA_OK && status == GWA_OK ? 0 : 1;
}
