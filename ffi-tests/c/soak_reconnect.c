/*
 * GWA_TEST_CLIENTS clients that lose their sockets again and again, until the harness says that it is enough. Meanwhile
 * the harness looks at what the process holds.
 */
#include "system.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    static gwa_client_t *clients[512];
    long count = number_or("GWA_TEST_CLIENTS", 50), at;
    int descriptors = entries_of(DESCRIPTORS);
    unsigned long long connects = 0, drops = 0;
    gwa_error_t *err = NULL;

    CHECK(count <= 512);
    probe.quiet = 1;
    for (at = 0; at < count; at++) {
        gwa_config_t *config = new_config();
        CHECK_STATUS(gwa_config_on_message(config, on_message, &probe, on_release), GWA_OK);
        CHECK_OK(gwa_client_new(config, &clients[at], &err));
        CHECK_OK(gwa_client_start(clients[at], &err));
        gwa_config_free(config);
    }
    wait_for_harness();
    for (at = 0; at < count; at++) {
        gwa_metrics_t metrics = metrics_of(clients[at]);
        gwa_shutdown_report_t report;
        connects += metrics.connects;
        drops += metrics.drops;
        CHECK_EQ(metrics.senseless_inputs, 0);
        GWA_SHUTDOWN_REPORT_INIT(&report);
        CHECK_OK(gwa_client_shutdown(clients[at], GWA_NO_LIMIT, &report, &err));
        CHECK_EQ(report.complete, 1);
        CHECK_STATUS(gwa_client_free(clients[at]), GWA_OK);
    }
    tell("connects", (long long)connects);
    tell("drops", (long long)drops);
    CHECK_EQ(probe.released, count);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    settles(THREADS, ALONE);
    settles(DESCRIPTORS, descriptors);
    return 0;
}
