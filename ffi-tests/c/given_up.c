/*
 * There is no WebSocket at this address: the client is Failed, for good. Calls say why; shutdown and free work as ever.
 * GWA_TEST_STATUS is what it fails with.
 */
#include "common.h"

static void refused(gwa_status_t status, gwa_error_t **err)
{
    CHECK(strcmp(gwa_status_name(status), needed("GWA_TEST_STATUS")) == 0);
    CHECK_EQ(gwa_error_code(*err), status);
    CHECK_CONTAINS(gwa_error_stage(*err, NULL), "upgrade");
    gwa_error_free(*err);
    *err = NULL;
}

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = started(&probe);
    gwa_error_t *err = NULL;
    gwa_token_t *token = NULL;
    uint64_t id = 77;
    int32_t state;

    WAIT(&probe, 30000, probe.state == GWA_STATE_FAILED);
    CHECK(strcmp(gwa_status_name(probe.error), needed("GWA_TEST_STATUS")) == 0);
    CHECK_EQ(probe.failures, 1);
    CHECK_EQ(probe.gap_begins, 0);
    refused(gwa_client_send(client, "x", 1, GWA_TEXT, &id, &err), &err);
    refused(gwa_client_token(client, 0, 0, &token, &err), &err);
    refused(gwa_client_refresh_now(client, &err), &err);
    refused(gwa_client_drain_notice(client, &err), &err);
    CHECK(id == 77 && token == NULL);
    CHECK(gwa_client_start(client, NULL) != GWA_OK);
    CHECK(gwa_client_connect(client, 1000, NULL) != GWA_OK);
    CHECK_STATUS(gwa_client_shutdown(client, (uint32_t)(5000 * slowness()), NULL, NULL), GWA_OK);
    CHECK_STATUS(gwa_client_state(client, &state), GWA_OK);
    CHECK_EQ(state, GWA_STATE_FAILED);
    finish(client, &probe);
    return 0;
}
