/*
 * SIGPIPE has its default action and the peer resets connections at one stage, twice: the client gets through all the
 * same, renews its token twice, and this program, which sends all the time, is still there.
 */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client;
    static char large[50000];
    int done = 0;
    long long until = now_ms() + 50000 * slowness();

    probe.quiet = 1;
    client = started(&probe);
    memset(large, 'x', sizeof large);
    while (!done) {
        gwa_status_t status = gwa_client_send(client, large, sizeof large, GWA_TEXT, NULL, NULL);
        CHECK(status == GWA_OK || status == GWA_E_QUEUE_FULL);
        CHECK(now_ms() < until);
        pthread_mutex_lock(&probe.lock);
        done = probe.state == GWA_STATE_READY && probe.tokens >= 3 && probe.sents > 0;
        pthread_mutex_unlock(&probe.lock);
    }
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    check_clean(&probe);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    tell("sent", (long long)probe.sents);
    return 0;
}
