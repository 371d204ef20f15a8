/* struct_size: an older caller gets what fits, a newer one keeps what the library does not know. Both structs. */
#include "common.h"

#include <stddef.h>

static void texts_of_many(gwa_client_t *client)
{
    static const char *const names[] = {"one", "two"}, *const twice[] = {"one", "one"}, *const odd[] = {"one", ""};
    gwa_client_t *const clients[] = {client, client};
    gwa_client_t *const stale[] = {client, NULL};
    gwa_text_t *text = NULL;
    CHECK_STATUS(gwa_metrics_text(clients, names, 2, GWA_STATS_PROMETHEUS, &text), GWA_OK);
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\ngwa_token_held{client=\"one\"} 1\ngwa_token_held{client=\"two\"} 1\n");
    gwa_text_free(text);
    CHECK_STATUS(gwa_metrics_text(clients, NULL, 2, GWA_STATS_OPENMETRICS, &text), GWA_OK);
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\ngwa_token_held{client=\"0\"} 1\ngwa_token_held{client=\"1\"} 1\n");
    gwa_text_free(text);
    CHECK_STATUS(gwa_metrics_text(NULL, NULL, 0, GWA_STATS_OPENMETRICS, &text), GWA_OK);
    CHECK_CONTAINS(gwa_text_data(text, NULL), "# EOF\n");
    gwa_text_free(text);
    text = NULL;
    CHECK_STATUS(gwa_metrics_text(clients, twice, 2, GWA_STATS_OPENMETRICS, &text), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_metrics_text(clients, odd, 2, GWA_STATS_OPENMETRICS, &text), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_metrics_text(clients, names, 2, GWA_STATS_JSON, &text), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_metrics_text(stale, names, 2, GWA_STATS_OPENMETRICS, &text), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_metrics_text(clients, names, SIZE_MAX, GWA_STATS_OPENMETRICS, &text), GWA_E_INVALID_ARGUMENT);
    CHECK(text == NULL);
}

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
    CHECK_STATUS(gwa_client_stats(client, 0, &stats), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_client_stats(client, GWA_STATS_OPENMETRICS, &stats), GWA_OK);
    CHECK_CONTAINS(gwa_text_data(stats, NULL), "\ngwa_state{gwa_state=\"Ready\"} 1\n");
    gwa_text_free(stats);
    texts_of_many(client);
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
