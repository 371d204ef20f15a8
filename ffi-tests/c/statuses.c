/* Every status has its own number, name and text; so has every state. */
#include "common.h"

int main(void)
{
    gwa_status_t status, other;
    size_t i, j;
    int state;

    for (i = 0; gwa_status_at(i, &status) == GWA_OK; i++) {
        const char *name = gwa_status_name(status), *text = gwa_status_text(status);
        CHECK(strncmp(name, "GWA_", 4) == 0 && strlen(text) > 4);
        CHECK((status >= 4100 && strncmp(name, "GWA_E_", 6) == 0) || status == GWA_OK || status == GWA_DEFERRED);
        for (j = 0; j < i; j++) {
            CHECK_STATUS(gwa_status_at(j, &other), GWA_OK);
            CHECK(other != status && strcmp(gwa_status_name(other), name) != 0);
        }
    }
    CHECK(i > 50);
    status = 77;
    CHECK_STATUS(gwa_status_at(i, &status), GWA_E_INVALID_ARGUMENT);
    CHECK_EQ(status, 77);
    CHECK(strcmp(gwa_status_name(4099), "unknown status") == 0);
    CHECK(strcmp(gwa_status_text(-1), "unknown status") == 0);
    for (state = GWA_STATE_IDLE; state <= GWA_STATE_FAILED; state++) {
        CHECK(strcmp(gwa_state_name(state), "unknown state") != 0);
    }
    CHECK(strcmp(gwa_state_name(GWA_STATE_READY), "Ready") == 0);
    CHECK(strcmp(gwa_state_name(GWA_STATE_FAILED + 1), "unknown state") == 0);
    tell("statuses", (long long)i);
    return 0;
}
