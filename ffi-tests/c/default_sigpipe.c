/*
 * SIGPIPE has its default action, and the peer resets connections wherever it can: GWA_TEST_COUNT times the client comes
 * back to Ready, while this program sends all the time. A signal would have ended the process with status 141.
 */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = started(&probe);
    unsigned long count = (unsigned long)number_or("GWA_TEST_COUNT", 3), round;
    static char large[100000];

    memset(large, 'x', sizeof large);
    for (round = 0; round < count; round++) {
        WAIT(&probe, 30000, probe.states[GWA_STATE_READY] > round);
        for (;;) {
            gwa_status_t status = gwa_client_send(client, large, sizeof large, GWA_TEXT, NULL, NULL);
            unsigned long gaps;
            CHECK(status == GWA_OK || status == GWA_E_QUEUE_FULL);
            pthread_mutex_lock(&probe.lock);
            gaps = probe.gap_begins;
            pthread_mutex_unlock(&probe.lock);
            if (gaps > round) {
                break;
            }
        }
    }
    WAIT(&probe, 30000, probe.states[GWA_STATE_READY] > count);
    CHECK_EQ(probe.gap_begins, count);
    finish(client, &probe);
    return 0;
}
