/*
 * The client hangs somewhere on its way to Ready; the harness says when. Then shutdown (argument 1), or free, from this
 * thread is bounded, and a gwa_client_connect() that waits in another thread (argument 2: "connect") is cancelled.
 */
#include "common.h"

static gwa_client_t *client;

static void *connects(void *unused)
{
    gwa_error_t *err = NULL;
    CHECK_STATUS(gwa_client_connect(client, GWA_NO_LIMIT, &err), GWA_E_CANCELLED);
    CHECK(err != NULL);
    gwa_error_free(err);
    return unused;
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    int waits = argc > 2 && strcmp(argv[2], "connect") == 0;
    gwa_error_t *err = NULL;
    pthread_t thread;
    long long began;

    CHECK(argc > 1);
    client = new_client(&probe);
    if (waits) {
        CHECK_EQ(pthread_create(&thread, NULL, connects, NULL), 0);
    } else {
        CHECK_OK(gwa_client_start(client, &err));
    }
    WAIT(&probe, 20000, probe.states[GWA_STATE_ACQUIRING_TOKEN] > 0);
    wait_for_harness();
    began = now_ms();
    if (strcmp(argv[1], "shutdown") == 0) {
        gwa_shutdown_report_t report;
        GWA_SHUTDOWN_REPORT_INIT(&report);
        CHECK_OK(gwa_client_shutdown(client, 4000 * (uint32_t)slowness(), &report, &err));
        CHECK_EQ(report.complete, 1);
        CHECK_EQ(report.resolvers_stuck, 0);
    }
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    tell("close_ms", now_ms() - began);
    CHECK(now_ms() - began < 3000 * slowness());
    if (waits) {
        CHECK_EQ(pthread_join(thread, NULL), 0);
    }
    check_clean(&probe);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
