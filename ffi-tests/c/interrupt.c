/*
 * A signal handler calls gwa_client_interrupt(): the blocking call of argument 1 (connect, token, next_event) returns
 * GWA_E_INTERRUPTED, also when the signal came first. The server hangs.
 */
#include "common.h"

static gwa_client_t *client;

static void on_signal(int signal_number)
{
    (void)signal_number;
    if (gwa_client_interrupt(client) != GWA_OK) {
        _exit(2);
    }
}

static gwa_status_t blocks(const char *call)
{
    if (strcmp(call, "connect") == 0) {
        return gwa_client_connect(client, GWA_NO_LIMIT, NULL);
    }
    if (strcmp(call, "token") == 0) {
        gwa_token_t *token = NULL;
        return gwa_client_token(client, 0, GWA_NO_LIMIT, &token, NULL);
    }
    for (;;) {
        gwa_event_t *event = NULL;
        gwa_status_t status = gwa_client_next_event(client, GWA_NO_LIMIT, &event);
        if (status != GWA_OK) {
            return status;
        }
        gwa_event_free(event);
    }
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    struct sigaction action;
    gwa_config_t *config;
    gwa_error_t *err = NULL;

    CHECK_EQ(argc, 2);
    config = new_config();
    if (strcmp(argv[1], "next_event") == 0) {
        set(config, "delivery", "poll");
    }
    watch(config, &probe);
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    if (strcmp(argv[1], "connect") != 0) {
        CHECK_OK(gwa_client_start(client, &err));
    }
    alarm(1);
    CHECK_STATUS(blocks(argv[1]), GWA_E_INTERRUPTED);
    /* Sticky: raised before the call. */
    CHECK_EQ(raise(SIGALRM), 0);
    CHECK_STATUS(blocks(argv[1]), GWA_E_INTERRUPTED);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_EQ(probe.released, PROBE_CALLBACKS);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
