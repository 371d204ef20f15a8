/* Connect, receive all the simulator pumps, close cleanly. GWA_TEST_COUNT messages are pumped. */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    unsigned long count = (unsigned long)number_or("GWA_TEST_COUNT", 0);
    gwa_client_t *client = connected(&probe);
    int32_t state = -1;

    CHECK_STATUS(gwa_client_state(client, &state), GWA_OK);
    CHECK_EQ(state, GWA_STATE_READY);
    WAIT(&probe, 20000, probe.messages >= count);
    CHECK_EQ(probe.messages, count);
    CHECK(count == 0 || (probe.texts > 0 && probe.binaries > 0));
    CHECK_EQ(metrics_of(client).messages_received, count);
    CHECK_EQ(metrics_of(client).bytes_received, probe.bytes);
    CHECK_EQ(metrics_of(client).success_count, 1);
    finish(client, &probe);
    return 0;
}
