/*
 * The refresh token is dead: the library asks for an authorization code, gets GWA_TEST_CODE and becomes Ready. The
 * question comes by on_ask, or (argument 1: poll) as an event; a code that cannot be one leaves it open, and so does a
 * redirect of another state.
 */
#include "common.h"

/* A redirect as the server makes it; `state` is that of the URL, or another. */
static void redirect(char *out, size_t size, const char *url, const char *fields, const char *other)
{
    const char *state = strstr(url, "state=");
    CHECK(state != NULL);
    CHECK((size_t)snprintf(out, size, "https://app.example/back?%s&state=%s%.*s", fields, other,
                           (int)strcspn(state + 6, "&"), state + 6) < size);
}

/* Another state, and what the server refused, leave the question open. */
static void refuse(gwa_request_t *request, const char *code)
{
    char text[1024];
    size_t len = 0;
    const char *url = gwa_request_authorize_url(request, &len);
    CHECK(url != NULL && len == strlen(url) && strstr(url, "response_type=code&client_id=") != NULL);
    CHECK(strstr(url, "redirect_uri=https%3A%2F%2Fapp.example%2Fback") != NULL);
    redirect(text, sizeof text, url, code, "x");
    CHECK_STATUS(gwa_request_complete(request, text, strlen(text), 0), GWA_E_INVALID_ARGUMENT);
    redirect(text, sizeof text, url, "error=access_denied", "");
    CHECK_STATUS(gwa_request_complete(request, text, strlen(text), 0), GWA_E_OAUTH);
    CHECK(gwa_request_authorize_url(request, NULL) == url);
}

static void answer(gwa_request_t *request)
{
    const char *code = needed("GWA_TEST_CODE");
    gwa_text_t *none = NULL;
    char text[1024], field[512];
    if (gwa_request_kind(request) == GWA_REQUEST_PERSIST_REFRESH_TOKEN) {
        /* The code brought a new refresh token. */
        CHECK(gwa_request_authorize_url(request, NULL) == NULL);
        CHECK_STATUS(gwa_request_complete(request, NULL, 0, 0), GWA_OK);
        return;
    }
    CHECK_EQ(gwa_request_kind(request), GWA_REQUEST_AUTHORIZATION_CODE);
    CHECK_STATUS(gwa_request_refresh_token(request, &none), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_request_complete(request, NULL, 0, 0), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_request_complete(request, "a\nb", 3, 0), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_request_complete(request, "\xff", 1, 0), GWA_E_INVALID_UTF8);
    CHECK((size_t)snprintf(field, sizeof field, "code=%s", code) < sizeof field);
    refuse(request, field);
    redirect(text, sizeof text, gwa_request_authorize_url(request, NULL), field, "");
    CHECK_STATUS(gwa_request_complete(request, text, strlen(text), 0), GWA_OK);
    CHECK(gwa_request_authorize_url(request, NULL) == NULL);
    CHECK_EQ(gwa_request_kind(request), 0);
}

static void asked(struct probe *probe, int kind, const void *object)
{
    (void)probe;
    if (kind == GWA_EVENT_REQUEST) {
        answer((gwa_request_t *)(uintptr_t)object);
    }
}

static void polls(gwa_client_t *client)
{
    int ready = 0, answered = 0;
    while (!ready) {
        gwa_event_t *event = NULL;
        CHECK_STATUS(gwa_client_next_event(client, 20000 * (uint32_t)slowness(), &event), GWA_OK);
        if (gwa_event_kind(event) == GWA_EVENT_REQUEST) {
            gwa_request_t *request = NULL;
            answered += gwa_event_request_kind(event) == GWA_REQUEST_AUTHORIZATION_CODE;
            CHECK_STATUS(gwa_event_request(event, &request), GWA_OK);
            answer(request);
        }
        ready = gwa_event_state_to(event) == GWA_STATE_READY;
        gwa_event_free(event);
    }
    CHECK_EQ(answered, 1);
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;

    CHECK_EQ(argc, 2);
    set(config, "delivery", argv[1]);
    set(config, "token.redirect_uri", "https://app.example/back");
    if (strcmp(argv[1], "poll") != 0) {
        watch(config, &probe);
        probe.extra = asked;
    }
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    CHECK_OK(gwa_client_start(client, &err));
    if (strcmp(argv[1], "poll") == 0) {
        polls(client);
    } else {
        WAIT(&probe, 20000, probe.states[GWA_STATE_READY] == 1);
        CHECK(probe.asks >= 1 && probe.states[GWA_STATE_REAUTH_REQUIRED] == 1);
    }
    CHECK_OK(gwa_client_shutdown(client, 5000 * (uint32_t)slowness(), NULL, &err));
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
