/*
 * The client is somewhere on its way, or live; the harness says when. Then it ends by argument 1, "shutdown" or "free", and
 * tells how long that took and what was left. Argument 2: "connect" if another thread waits in gwa_client_connect() until
 * then, or "start". Argument 3: "resolver" if getaddrinfo has to hang (shim_net.c says when, instead of the harness).
 */
#include "system.h"

static gwa_client_t *client;

static void *connects(void *unused)
{
    gwa_error_t *err = NULL;
    gwa_status_t status = gwa_client_connect(client, GWA_NO_LIMIT, &err);
    CHECK(status == GWA_E_CANCELLED || status == GWA_OK);
    gwa_error_free(err);
    return unused;
}

static void shut_down(void)
{
    gwa_error_t *err = NULL;
    gwa_shutdown_report_t report;
    GWA_SHUTDOWN_REPORT_INIT(&report);
    CHECK_OK(gwa_client_shutdown(client, GWA_NO_LIMIT, &report, &err));
    CHECK_EQ(report.complete, 1);
    CHECK_EQ(report.audit_undelivered, 0);
    CHECK(report.stuck_callback == NULL);
    tell("close_handshake", report.close_handshake);
    tell("resolvers_stuck", report.resolvers_stuck);
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    int descriptors = entries_of(DESCRIPTORS), waits, stuck;
    gwa_error_t *err = NULL;
    pthread_t thread;
    long long began;

    CHECK(argc > 3);
    waits = strcmp(argv[2], "connect") == 0;
    stuck = strcmp(argv[3], "resolver") == 0;
    client = new_client(&probe);
    if (waits) {
        CHECK_EQ(pthread_create(&thread, NULL, connects, NULL), 0);
    } else {
        CHECK_OK(gwa_client_start(client, &err));
    }
    if (stuck) {
        call_shim("shim_net_wait_hung");
    } else {
        wait_for_harness();
    }
    began = now_ms();
    if (strcmp(argv[1], "shutdown") == 0) {
        shut_down();
    }
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    tell("took_ms", now_ms() - began);
    if (waits) {
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    check_clean(&probe);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    if (stuck) {
        /* The thread that is left holds nothing of the client, and ends when getaddrinfo does. */
        settles(THREADS, ALONE + 1);
        call_shim("shim_net_release");
    }
    settles(THREADS, ALONE);
    settles(DESCRIPTORS, descriptors);
    return 0;
}
