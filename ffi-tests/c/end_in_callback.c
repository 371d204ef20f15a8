/*
 * Argument 1: free or shutdown; argument 2: the callback it is called in. Both are deferred: they return at once with
 * GWA_DEFERRED, the callback goes on, and the release functions run when it has returned.
 */
#include "common.h"

static gwa_client_t *client;
static const char *action;
static int wanted, done;

static void end(struct probe *probe, int kind, const void *object)
{
    if (kind == GWA_EVENT_REQUEST) {
        gwa_request_free((gwa_request_t *)(uintptr_t)object);
    }
    if (kind != wanted || done) {
        return;
    }
    done = 1;
    if (strcmp(action, "free") == 0) {
        CHECK_STATUS(gwa_client_free(client), GWA_DEFERRED);
        CHECK_STATUS(gwa_client_free(client), GWA_E_BAD_HANDLE);
    } else {
        gwa_shutdown_report_t report;
        gwa_error_t *err = NULL;
        GWA_SHUTDOWN_REPORT_INIT(&report);
        CHECK_STATUS(gwa_client_shutdown(client, 1000, &report, &err), GWA_DEFERRED);
        CHECK(err == NULL);
        CHECK_EQ(report.complete, 0);
    }
    CHECK_EQ(probe->released, 0);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"message", "state", "token", "sent", "ask", "audit", "siem", "log"};
    static const int kinds[] = {GWA_EVENT_MESSAGE, GWA_EVENT_STATE, GWA_EVENT_TOKEN, GWA_EVENT_SENT,
                                GWA_EVENT_REQUEST, GWA_EVENT_AUDIT, GWA_EVENT_SIEM,  GWA_EVENT_LOG};
    static struct probe probe = PROBE_INIT;
    gwa_error_t *err = NULL;
    size_t i;

    CHECK_EQ(argc, 3);
    action = argv[1];
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        wanted = strcmp(argv[2], names[i]) == 0 ? kinds[i] : wanted;
    }
    CHECK(wanted != 0);
    client = new_client(&probe);
    probe.extra = end;
    CHECK_OK(gwa_client_start(client, &err));
    if (wanted == GWA_EVENT_SENT) {
        (void)gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL);
    }
    if (strcmp(action, "free") == 0) {
        WAIT(&probe, 10000, probe.released == PROBE_CALLBACKS);
    } else {
        WAIT(&probe, 10000, done);
        CHECK_OK(gwa_client_shutdown(client, 5000 * (uint32_t)slowness(), NULL, &err));
        CHECK_STATUS(gwa_client_free(client), GWA_OK);
    }
    check_clean(&probe);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
