/*
 * GWA_TEST_COUNT races: create, start, free after a little while that differs each time (so many callbacks, or at once).
 * After a free that returned GWA_OK no callback comes, and all releases were called.
 */
#include "common.h"

int main(void)
{
    static struct probe probes[64];
    long count = number_or("GWA_TEST_COUNT", 10000), round, live = 0;
    const struct probe fresh = PROBE_INIT;

    for (round = 0; round < count; round++) {
        /* A probe is used again long after its client was freed: it stays "dead" until then. */
        struct probe *probe = &probes[round % 64];
        gwa_client_t *client;
        long far = round % 8;
        *probe = fresh;
        probe->quiet = 1;
        client = started(probe);
        if (round % 50 == 49) {
            WAIT(probe, 20000, probe->states[GWA_STATE_READY] > 0);
            live++;
        } else if (far > 3) {
            WAIT(probe, 20000, probe->states[GWA_STATE_ACQUIRING_TOKEN] > 0);
        } else {
            struct timespec pause = {0, far * 100000};
            nanosleep(&pause, NULL); /* hides nothing: it varies where the race falls */
        }
        CHECK_STATUS(gwa_client_free(client), GWA_OK);
        check_clean(probe);
    }
    tell("races", count);
    tell("live", live);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
