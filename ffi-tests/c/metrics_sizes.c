/* struct_size: an older caller gets what fits, a newer one keeps what the library does not know. Both structs. */
#include "common.h"

#include <stddef.h>

int main(void)
{
    static struct probe probe = PROBE_INIT;
    struct {
        gwa_metrics_t known;
        uint64_t later[4];
    } newer;
    struct {
        gwa_shutdown_report_t known;
        uint64_t later[4];
    } newer_report;
    gwa_client_t *client = connected(&probe);
    gwa_metrics_t metrics;
    gwa_shutdown_report_t report;
    gwa_text_t *stats = NULL;
    uint32_t older = (uint32_t)offsetof(gwa_metrics_t, failure_count);

    memset(&metrics, 0x55, sizeof metrics);
    gwa_metrics_init(&metrics, older);
    CHECK_EQ(metrics.struct_size, older);
    CHECK_STATUS(gwa_client_metrics(client, &metrics), GWA_OK);
    CHECK_EQ(metrics.success_count, 1);
    CHECK_EQ(metrics.struct_size, older);
    CHECK_EQ(metrics.failure_count, 0x5555555555555555ll);
    CHECK_EQ(metrics.success_rate_milli_percent, 100000);

    memset(&newer, 0x55, sizeof newer);
    gwa_metrics_init(&newer.known, (uint32_t)sizeof newer);
    CHECK_EQ(newer.later[3], 0);
    newer.later[0] = 9;
    CHECK_STATUS(gwa_client_metrics(client, &newer.known), GWA_OK);
    CHECK_EQ(newer.known.success_count, 1);
    CHECK_EQ(newer.later[0], 9);

    memset(&metrics, 0, sizeof metrics);
    CHECK_STATUS(gwa_client_metrics(client, &metrics), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_client_metrics(client, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_client_stats(client, GWA_STATS_JSON, &stats), GWA_OK);
    CHECK_CONTAINS(gwa_text_data(stats, NULL), "\"state\":\"Ready\"");
    gwa_text_free(stats);
    memset(&report, 0, sizeof report);
    CHECK_STATUS(gwa_client_shutdown(client, 0, &report, NULL), GWA_E_INVALID_ARGUMENT);

    memset(&report, 0x55, sizeof report);
    gwa_shutdown_report_init(&report, (uint32_t)offsetof(gwa_shutdown_report_t, resolvers_stuck));
    memset(&newer_report, 0x55, sizeof newer_report);
    gwa_shutdown_report_init(&newer_report.known, (uint32_t)sizeof newer_report);
    CHECK_EQ(newer_report.later[3], 0);
    newer_report.later[3] = 9;
    CHECK_STATUS(gwa_client_shutdown(client, (uint32_t)(5000 * slowness()), &report, NULL), GWA_OK);
    CHECK(report.complete == 1 && report.close_handshake == 1);
    CHECK_EQ(report.resolvers_stuck, 0x55555555);
    CHECK_EQ(report.messages_unsent, 0x5555555555555555ll);
    CHECK_STATUS(gwa_client_shutdown(client, 0, &newer_report.known, NULL), GWA_OK);
    CHECK(newer_report.known.complete == 1 && newer_report.known.stuck_callback == NULL);
    CHECK_EQ(newer_report.later[3], 9);
    finish(client, &probe);
    return 0;
}
