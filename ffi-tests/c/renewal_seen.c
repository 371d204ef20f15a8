/* GWA_TEST_COUNT renewals on one socket: no gap, no hand-over, every message by connection 1. */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    unsigned long renewals = (unsigned long)number_or("GWA_TEST_COUNT", 3);
    gwa_client_t *client = connected(&probe);
    gwa_metrics_t metrics;

    WAIT(&probe, 30000, probe.states[GWA_STATE_RENEWING] >= renewals && probe.state == GWA_STATE_READY);
    WAIT(&probe, 5000, probe.messages > 0);
    metrics = metrics_of(client);
    CHECK(metrics.renewals >= renewals && metrics.last_lead_ms > 0);
    CHECK_EQ(metrics.connects, 1);
    CHECK_EQ(metrics.handovers, 0);
    pthread_mutex_lock(&probe.lock);
    CHECK(probe.tokens > renewals);
    CHECK_EQ(probe.gap_begins, 0);
    CHECK_EQ(probe.handovers, 0);
    CHECK_EQ(probe.by_connection[1], probe.messages);
    pthread_mutex_unlock(&probe.lock);
    finish(client, &probe);
    return 0;
}
