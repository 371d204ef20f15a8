/*
 * Functions called from each callback: those that would wait for the callback itself are refused with GWA_E_REENTRANT,
 * all others work (no lock of the library is held). Shutdown and free are in end_in_callback.c.
 */
#include "common.h"

static gwa_client_t *client;
static unsigned seen;

static void everything(struct probe *probe, int kind, const void *object)
{
    gwa_config_t *config = NULL;
    gwa_client_t *other = NULL;
    gwa_event_t *event = NULL;
    gwa_token_t *token = NULL;
    gwa_text_t *text = NULL;
    gwa_error_t *err = NULL;
    gwa_status_t status;
    int32_t state;
    int live;

    (void)probe;
    if (kind == GWA_EVENT_REQUEST) {
        gwa_request_t *request = (gwa_request_t *)(uintptr_t)object;
        CHECK_EQ(gwa_request_kind(request), GWA_REQUEST_PERSIST_REFRESH_TOKEN);
        CHECK_STATUS(gwa_request_complete(request, NULL, 0, 0), GWA_OK);
    }
    if (seen & 1u << kind) {
        return;
    }
    CHECK_STATUS(gwa_client_state(client, &state), GWA_OK);
    live = state != GWA_STATE_CLOSED && state != GWA_STATE_FAILED;
    CHECK_STATUS(gwa_client_connect(client, 1000, &err), GWA_E_REENTRANT);
    CHECK_EQ(gwa_error_code(err), GWA_E_REENTRANT);
    gwa_error_free(err);
    err = NULL;
    CHECK_STATUS(gwa_client_start(client, NULL), GWA_E_BAD_STATE);
    CHECK(gwa_client_next_event(client, 1000, &event) != GWA_OK && !event);
    CHECK_EQ(gwa_client_event_fd(client), -1);
    if (live) {
        if (kind == GWA_EVENT_MESSAGE) {
            CHECK_STATUS(gwa_client_drain_notice(client, NULL), GWA_OK);
        }
        status = gwa_client_token(client, 0, 0, &token, NULL);
        CHECK(status == GWA_OK || status == GWA_E_TIMEOUT);
        gwa_token_free(token);
        status = gwa_client_send(client, "from a callback", 15, GWA_TEXT, NULL, NULL);
        CHECK_STATUS(status, GWA_OK);
        CHECK_STATUS(gwa_client_set_secret(client, "client.secret", environment("GENESYS_CLIENT_SECRET"),
                                           strlen(environment("GENESYS_CLIENT_SECRET")), NULL),
                     GWA_OK);
        seen |= 1u << kind;
    }
    CHECK(metrics_of(client).struct_size > 0);
    CHECK_STATUS(gwa_client_stats(client, GWA_STATS_JSON, &text), GWA_OK);
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"running_callback\":{\"name\":\"on_");
    gwa_text_free(text);
    CHECK_STATUS(gwa_scopes_check("opaque", 6, NULL, 0, &text, NULL), GWA_OK);
    gwa_text_free(text);
    /* another client, made and freed inside the callback */
    config = new_config();
    CHECK_OK(gwa_client_new(config, &other, &err));
    gwa_config_free(config);
    CHECK_STATUS(gwa_client_free(other), GWA_OK);
    if (kind == GWA_EVENT_STATE || kind == GWA_EVENT_MESSAGE) {
        CHECK_STATUS(gwa_event_clone((const gwa_event_t *)object, &event), GWA_OK);
        CHECK_EQ(gwa_event_kind(event), kind);
        gwa_event_free(event);
        gwa_event_free((gwa_event_t *)(uintptr_t)object); /* lent: left alone */
        CHECK_EQ(gwa_event_kind((const gwa_event_t *)object), kind);
    }
    if (kind == GWA_EVENT_AUDIT || kind == GWA_EVENT_SIEM) {
        gwa_audit_t *copy = gwa_audit_clone((const gwa_audit_t *)object);
        CHECK(strcmp(gwa_audit_json(copy, NULL), gwa_audit_json((const gwa_audit_t *)object, NULL)) == 0);
        gwa_audit_free(copy);
        gwa_audit_free((gwa_audit_t *)(uintptr_t)object);
    }
}

int main(void)
{
    static struct probe probe = PROBE_INIT;
    gwa_error_t *err = NULL;
    const unsigned wanted = 1u << GWA_EVENT_MESSAGE | 1u << GWA_EVENT_STATE | 1u << GWA_EVENT_TOKEN |
                            1u << GWA_EVENT_SENT | 1u << GWA_EVENT_REQUEST | 1u << GWA_EVENT_AUDIT |
                            1u << GWA_EVENT_SIEM;

    client = new_client(&probe);
    probe.extra = everything;
    CHECK_OK(gwa_client_start(client, &err));
    WAIT(&probe, 20000, (seen & wanted) == wanted);
    CHECK_OK(gwa_client_refresh_now(client, &err));
    finish(client, &probe);
    return 0;
}
