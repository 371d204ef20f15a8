/*
 * The application hears that the server will go: gwa_client_drain_notice() brings a second socket, without a gap and in
 * order, and the first one is closed. Before the start and after the end it is refused.
 */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = new_client(&probe);
    gwa_error_t *err = NULL;
    gwa_metrics_t metrics;

    CHECK_STATUS(gwa_client_drain_notice(client, &err), GWA_E_BAD_STATE);
    CHECK_EQ(gwa_error_code(err), GWA_E_BAD_STATE);
    gwa_error_free(err);
    err = NULL;
    CHECK_OK(gwa_client_connect(client, (uint32_t)(20000 * slowness()), &err));
    WAIT(&probe, 10000, probe.by_connection[1] > 2);
    CHECK_OK(gwa_client_drain_notice(client, &err));
    WAIT(&probe, 10000, probe.states[GWA_STATE_DRAINING] == 1);
    WAIT(&probe, 30000, probe.handovers == 1 && probe.by_connection[2] > 2);
    WAIT(&probe, 10000, probe.state == GWA_STATE_READY);
    metrics = metrics_of(client);
    CHECK_EQ(metrics.renewals, 0);
    CHECK_EQ(metrics.drops, 0);
    pthread_mutex_lock(&probe.lock);
    CHECK_EQ(probe.gap_begins, 0);
    CHECK_EQ(probe.stale, 0);
    CHECK_EQ(probe.tokens, 1);
    tell("messages_1", (long long)probe.by_connection[1]);
    pthread_mutex_unlock(&probe.lock);
    CHECK_STATUS(gwa_client_shutdown(client, (uint32_t)(5000 * slowness()), NULL, NULL), GWA_OK);
    CHECK_STATUS(gwa_client_drain_notice(client, NULL), GWA_E_CLOSED);
    finish(client, &probe);
    return 0;
}
