/* The live socket is ended by what the peer does: the gap names the cause GWA_TEST_STATUS, and the client comes back. */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = started(&probe);

    WAIT(&probe, 20000, probe.gap_ends == 1);
    fprintf(stderr, "gap_cause: %s\n", gwa_status_name(probe.gap_cause));
    CHECK(strcmp(gwa_status_name(probe.gap_cause), needed("GWA_TEST_STATUS")) == 0);
    WAIT(&probe, 5000, probe.state == GWA_STATE_READY);
    finish(client, &probe);
    return 0;
}
