/* The socket is lost once: a gap begins and ends with the same number, and messages flow again by connection 2. */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = connected(&probe);

    WAIT(&probe, 20000, probe.gap_ends == 1 && probe.by_connection[2] > 0);
    pthread_mutex_lock(&probe.lock);
    CHECK_EQ(probe.gap_begins, 1);
    CHECK_EQ(probe.stale, 0);
    CHECK(probe.gap_cause != GWA_OK);
    CHECK(probe.states[GWA_STATE_RECONNECTING] > 0);
    tell("gap_cause", probe.gap_cause);
    tell("messages_1", (long long)probe.by_connection[1]);
    pthread_mutex_unlock(&probe.lock);
    CHECK_EQ(metrics_of(client).drops, 1);
    CHECK_EQ(metrics_of(client).gaps, 1);
    finish(client, &probe);
    return 0;
}
