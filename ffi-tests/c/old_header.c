/*
 * A program compiled with the header of an earlier 0.1, abi/old/genesys_ws_auth.h, which never changes; it runs with the
 * library as it is now. Its structs may be smaller: nothing behind them is touched.
 */
#include "../abi/old/genesys_ws_auth.h"

/* Its guard is that of the header in force, which is not read from here on. */
#include "common.h"

#ifdef GWA_CALLBACK_MESSAGE
#error "this is not the old header"
#endif

int main(void)
{
    static struct probe probe = PROBE_INIT;
    struct {
        gwa_metrics_t metrics;
        unsigned char behind[64];
    } old_metrics;
    struct {
        gwa_shutdown_report_t report;
        unsigned char behind[64];
    } old_report;
    gwa_client_t *client;
    uint64_t id = 0;
    size_t i;

    CHECK_STATUS(GWA_CHECK_ABI(), GWA_OK);
    CHECK(GWA_VERSION_NUMBER <= gwa_version_number());
    client = connected(&probe);
    CHECK_STATUS(gwa_client_send(client, "hello", 5, GWA_TEXT, &id, NULL), GWA_OK);
    WAIT(&probe, 20000, probe.sents == 1);

    memset(&old_metrics, 0x55, sizeof old_metrics);
    GWA_METRICS_INIT(&old_metrics.metrics);
    CHECK_STATUS(gwa_client_metrics(client, &old_metrics.metrics), GWA_OK);
    CHECK_EQ(old_metrics.metrics.struct_size, sizeof old_metrics.metrics);
    CHECK(old_metrics.metrics.success_count == 1 && old_metrics.metrics.messages_sent == 1);
    CHECK(old_metrics.metrics.connects == 1 && old_metrics.metrics.token_requests == 1);

    memset(&old_report, 0x55, sizeof old_report);
    GWA_SHUTDOWN_REPORT_INIT(&old_report.report);
    CHECK_STATUS(gwa_client_shutdown(client, (uint32_t)(5000 * slowness()), &old_report.report, NULL), GWA_OK);
    CHECK(old_report.report.complete == 1 && old_report.report.close_handshake == 1);
    CHECK(old_report.report.messages_unsent == 0 && old_report.report.stuck_callback == NULL);
    for (i = 0; i < sizeof old_report.behind; i++) {
        CHECK(old_metrics.behind[i] == 0x55 && old_report.behind[i] == 0x55);
    }
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    check_clean(&probe);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
