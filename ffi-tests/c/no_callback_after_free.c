/*
 * GWA_TEST_COUNT races: create, start, free after a little while that differs each time (so many callbacks, or at once).
 * After a free that returned GWA_OK no callback comes, and all releases were called.
 */
#include "common.h"

int main(void)
{
    static struct probe probes[64];
    long count = number_or("GWA_TEST_COUNT", 10000), round, live = 0;
    long long longest = 0, began = now_ms(), before;
    const struct probe fresh = PROBE_INIT;

    for (round = 0; round < count; round++) {
        /* A probe is used again long after its client was freed: it stays "dead" until then. */
        struct probe *probe = &probes[round % 64];
        gwa_client_t *client;
        long far = round % 8;
        *probe = fresh;
        probe->quiet = 1;
        client = started(probe);
        if (round % 10 == 9) {
            WAIT(probe, 20000, probe->states[GWA_STATE_READY] > 0);
            live++;
        } else if (far > 3) {
            WAIT(probe, 20000, probe->states[GWA_STATE_ACQUIRING_TOKEN] > 0);
        } else {
            struct timespec pause = {0, far * 100000};
            nanosleep(&pause, NULL); /* hides nothing: it varies where the race falls */
        }
        before = now_ms();
        CHECK_STATUS(gwa_client_free(client), GWA_OK);
        longest = now_ms() - before > longest ? now_ms() - before : longest;
        check_clean(probe);
        if (round % 1000 == 999) {
            fprintf(stderr, "%ld races in %lld ms, longest free %lld ms\n", round + 1, now_ms() - began, longest);
        }
    }
    tell("races", count);
    tell("live", live);
    tell("longest_free_ms", longest);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
