/* GWA_EVENT_SCOPES: a renewal takes a required scope away, which costs nothing but the renewal; the next one gives it back. */
#include "common.h"

static gwa_client_t *client;

/* The next event of this kind; the caller frees it. */
static gwa_event_t *next(int32_t kind)
{
    gwa_event_t *event = NULL;
    for (;;) {
        CHECK_STATUS(gwa_client_next_event(client, 30000 * (uint32_t)slowness(), &event), GWA_OK);
        CHECK(gwa_event_kind(event) != GWA_EVENT_GAP_BEGIN);
        if (gwa_event_kind(event) == kind) {
            return event;
        }
        CHECK(gwa_event_scope_count(event) == 0 && gwa_event_scope(event, 0, NULL) == NULL);
        gwa_event_free(event);
    }
}

/* The next GWA_EVENT_SCOPES tells of exactly this: "1 new:read;3 gone:read;". A copy of it says the same. */
static void changed(const char *wanted)
{
    gwa_event_t *event = next(GWA_EVENT_SCOPES), *copy = NULL;
    char text[512] = "";
    size_t i, len = 1, count = gwa_event_scope_count(event);
    CHECK_STATUS(gwa_event_clone(event, &copy), GWA_OK);
    gwa_event_free(event);
    for (i = 0; i < count; i++) {
        const char *name = gwa_event_scope(copy, i, &len);
        size_t used = strlen(text);
        CHECK(name != NULL && strlen(name) == len);
        snprintf(text + used, sizeof text - used, "%d %s;", (int)gwa_event_scope_change(copy, i), name);
    }
    CHECK(gwa_event_scope(copy, count, &len) == NULL && len == 0 && gwa_event_scope_change(copy, count) == 0);
    gwa_event_free(copy);
    printf("changed: %s\n", text);
    CHECK(strcmp(text, wanted) == 0);
}

static void becomes(int32_t state, const char *reason, gwa_status_t outcome)
{
    for (;;) {
        gwa_event_t *event = next(GWA_EVENT_STATE);
        int found = gwa_event_state_to(event) == state && strcmp(gwa_event_reason(event, NULL), reason) == 0;
        if (found) {
            CHECK_STATUS(gwa_event_outcome(event), outcome);
        }
        gwa_event_free(event);
        if (found) {
            return;
        }
    }
}

int main(void)
{
    gwa_config_t *config = new_config();
    gwa_error_t *err = NULL;
    gwa_event_t *event = NULL;
    set(config, "delivery", "poll");
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    CHECK_OK(gwa_client_start(client, &err));
    becomes(GWA_STATE_READY, "authenticated", GWA_OK);
    CHECK_OK(gwa_client_refresh_now(client, &err));
    changed("1 extra:read;3 conversation:read;2 analytics:read;");
    becomes(GWA_STATE_DEGRADED, "scopes denied", GWA_E_SCOPE_DENIED);
    CHECK_OK(gwa_client_refresh_now(client, &err));
    changed("1 conversation:read;1 analytics:read;2 extra:read;");
    becomes(GWA_STATE_READY, "renewed", GWA_OK);
    CHECK_OK(gwa_client_shutdown(client, 5000 * (uint32_t)slowness(), NULL, &err));
    while (gwa_client_next_event(client, 0, &event) == GWA_OK) {
        gwa_event_free(event);
    }
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
