/* gwa_client_token: the tutorial's getValidToken, for the application's own REST calls. */
#include "common.h"

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = new_client(&probe);
    gwa_error_t *err = NULL;
    gwa_token_t *token = NULL, *other = NULL;
    size_t len = 0;

    CHECK_STATUS(gwa_client_token(client, 0, 0, &token, &err), GWA_E_BAD_STATE);
    gwa_error_free(err);
    CHECK_OK(gwa_client_start(client, &err));
    CHECK_OK(gwa_client_token(client, 0, 20000 * (uint32_t)slowness(), &token, &err));
    CHECK(strlen(gwa_token_access_token(token, &len)) == len && len > 20);
    CHECK(strcmp(gwa_token_type(token, NULL), "bearer") == 0);
    CHECK(strcmp(gwa_token_scope(token, NULL), "conversation:read user:read analytics:read") == 0);
    CHECK_EQ(gwa_token_expires_in_ms(token), 3600000);
    CHECK(gwa_token_granted_at_ms(token) > 1500000000000ull);
    CHECK(gwa_token_refresh_token(token, NULL) != NULL);
    /* The same one, as long as it serves. */
    CHECK_OK(gwa_client_token(client, 60000, 0, &other, &err));
    CHECK(strcmp(gwa_token_access_token(token, NULL), gwa_token_access_token(other, NULL)) == 0);
    gwa_token_free(other);
    /* More life than any token has cannot be had. */
    other = NULL;
    CHECK(gwa_client_token(client, 4000000, 2000 * (uint32_t)slowness(), &other, &err) != GWA_OK);
    CHECK(other == NULL && err != NULL);
    gwa_error_free(err);
    err = NULL;
    other = gwa_token_clone(token);
    CHECK(strcmp(gwa_token_access_token(token, NULL), gwa_token_access_token(other, NULL)) == 0);
    WAIT(&probe, 20000, probe.states[GWA_STATE_READY] > 0);
    CHECK_OK(gwa_client_shutdown(client, 5000 * (uint32_t)slowness(), NULL, &err));
    CHECK(gwa_client_token(client, 0, 0, &token, NULL) != GWA_OK);
    gwa_token_free(token);
    gwa_token_free(other);
    finish(client, &probe);
    return 0;
}
