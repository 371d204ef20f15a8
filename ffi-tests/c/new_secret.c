/* The secret is wrong: ReauthRequired. gwa_client_set_secret() with the right one (GWA_TEST_SECRET) leads to Ready. */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = started(&probe);
    gwa_error_t *err = NULL;
    const char *secret = needed("GWA_TEST_SECRET");

    WAIT(&probe, 20000, probe.state == GWA_STATE_REAUTH_REQUIRED);
    CHECK_EQ(probe.error, GWA_E_UNAUTHORIZED);
    CHECK_STATUS(gwa_client_set_secret(client, "client.secret", "", 0, NULL), GWA_E_BAD_VALUE);
    CHECK_STATUS(gwa_client_set_secret(client, "client.secret", "a\nb", 3, NULL), GWA_E_BAD_VALUE);
    CHECK_STATUS(gwa_client_set_secret(client, "client.secrets", "ab", 2, NULL), GWA_E_UNKNOWN_KEY);
    CHECK_STATUS(gwa_client_set_secret(client, "region", "ab", 2, NULL), GWA_E_BAD_VALUE);
    CHECK_OK(gwa_client_set_secret(client, "client.secret", secret, strlen(secret), &err));
    WAIT(&probe, 20000, probe.state == GWA_STATE_READY);
    CHECK(probe.failures > 0);
    finish(client, &probe);
    return 0;
}
