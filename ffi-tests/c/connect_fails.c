/*
 * gwa_client_connect fails with the status GWA_TEST_STATUS at the stage GWA_TEST_STAGE (if given); the error has a
 * message and, with GWA_TEST_HINT, a hint that contains it. Afterwards everything is stopped and the client can be
 * started anew, with the same outcome.
 */
#include "common.h"

static void fails(gwa_client_t *client, const struct probe *probe)
{
    gwa_error_t *err = NULL;
    int32_t state = -1;
    gwa_status_t status = gwa_client_connect(client, (uint32_t)(20000 * slowness()), &err);

    fprintf(stderr, "%s: %s, %s\n", gwa_status_name(status), gwa_error_message(err, NULL), gwa_error_hint(err, NULL));
    CHECK(err != NULL);
    CHECK_EQ(gwa_error_code(err), status);
    CHECK(strcmp(gwa_error_name(err, NULL), gwa_status_name(status)) == 0);
    CHECK(strcmp(gwa_error_name(err, NULL), needed("GWA_TEST_STATUS")) == 0);
    CHECK_CONTAINS(gwa_error_stage(err, NULL), environment("GWA_TEST_STAGE"));
    CHECK_CONTAINS(gwa_error_hint(err, NULL) ? gwa_error_hint(err, NULL) : "", environment("GWA_TEST_HINT"));
    CHECK_CONTAINS(gwa_error_message(err, NULL), environment("GWA_TEST_MESSAGE"));
    CHECK(*gwa_error_message(err, NULL) && *gwa_error_category_name(err, NULL));
    if (*environment("GWA_TEST_MISSING")) {
        CHECK(strcmp(gwa_error_missing_scopes(err, NULL), getenv("GWA_TEST_MISSING")) == 0);
    }
    tell("http_status", gwa_error_http_status(err));
    tell("retriable", gwa_error_retriable(err));
    CHECK(probe->audits > 0 && probe->failures + probe->scopes > 0);
    gwa_error_free(err);
    CHECK_STATUS(gwa_client_state(client, &state), GWA_OK);
    CHECK_EQ(state, GWA_STATE_IDLE);
}

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client = new_client(&probe);
    long again = number_or("GWA_TEST_TIMES", 1);

    while (again-- > 0) {
        fails(client, &probe);
    }
    CHECK(probe.states[GWA_STATE_READY] == 0);
    finish(client, &probe);
    return 0;
}
