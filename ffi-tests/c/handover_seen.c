/* The server cannot re-authenticate in band: a second socket takes over, without a gap and in order. */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = connected(&probe);

    WAIT(&probe, 30000, probe.handovers >= 2 && probe.by_connection[3] > 0);
    pthread_mutex_lock(&probe.lock);
    CHECK_EQ(probe.gap_begins, 0);
    CHECK_EQ(probe.stale, 0);
    pthread_mutex_unlock(&probe.lock);
    CHECK(metrics_of(client).handovers >= 2);
    CHECK_EQ(metrics_of(client).drops, 0);
    finish(client, &probe);
    tell("messages_1", (long long)probe.by_connection[1]);
    tell("messages_2", (long long)probe.by_connection[2]);
    return 0;
}
