/*
 * SIGPIPE has its default action, and the peer resets connections wherever it can: GWA_TEST_COUNT times the client has
 * to come back, while this program sends all the time. A signal would have ended the process with status 141.
 * On a slow machine a reset may come before the client is Ready; it is a loss all the same.
 */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = started(&probe);
    unsigned long count = (unsigned long)number_or("GWA_TEST_COUNT", 3), losses = 0;
    static char large[100000];

    memset(large, 'x', sizeof large);
    while (losses < count) {
        gwa_status_t status = gwa_client_send(client, large, sizeof large, GWA_TEXT, NULL, NULL);
        CHECK(status == GWA_OK || status == GWA_E_QUEUE_FULL);
        pthread_mutex_lock(&probe.lock);
        losses = probe.states[GWA_STATE_RECONNECTING];
        pthread_mutex_unlock(&probe.lock);
    }
    WAIT(&probe, 60000, probe.state == GWA_STATE_READY);
    CHECK_EQ(probe.gap_begins, probe.gap_ends);
    finish(client, &probe);
    return 0;
}
