/*
 * token.grant = application: the tokens GWA_TEST_TOKENS (separated by commas) are provided one after the other, from
 * another thread; the first question is failed, so that it is asked again. No credentials are set. The questions come by
 * on_ask, or (argument 1: poll) as events.
 */
#include "common.h"

static char given[8192];
static char *next_token = given;
static unsigned long questions;

static void *provide(void *user_data)
{
    gwa_request_t *request = (gwa_request_t *)user_data;
    const char *token;
    CHECK_EQ(gwa_request_kind(request), GWA_REQUEST_TOKEN);
    CHECK_STATUS(gwa_request_complete(request, "", 0, 0), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_request_complete(request, "a\nb", 3, 0), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_request_refresh_token(request, NULL), GWA_E_INVALID_ARGUMENT);
    if (questions++ == 0) {
        CHECK_STATUS(gwa_request_fail(request, GWA_OK, "no reason"), GWA_E_INVALID_ARGUMENT);
        CHECK_STATUS(gwa_request_fail(request, GWA_E_UNAVAILABLE, "the vault is sealed"), GWA_OK);
        return NULL;
    }
    token = strtok_r(NULL, ",", &next_token);
    CHECK(token != NULL);
    CHECK_STATUS(gwa_request_complete(request, token, strlen(token), 1200000), GWA_OK);
    CHECK_STATUS(gwa_request_complete(request, token, strlen(token), 1200000), GWA_E_BAD_HANDLE);
    return NULL;
}

/* Now or later, from any thread: from one of its own. */
static void answer(gwa_request_t *request)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, provide, request) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void asked(struct probe *probe, int kind, const void *object)
{
    (void)probe;
    if (kind == GWA_EVENT_REQUEST) {
        answer((gwa_request_t *)(uintptr_t)object);
    }
}

/* Polls until so many tokens are in use. */
static void polls(gwa_client_t *client, int tokens, int ready)
{
    while (tokens > 0 || ready > 0) {
        gwa_event_t *event = NULL;
        CHECK_STATUS(gwa_client_next_event(client, 20000 * (uint32_t)slowness(), &event), GWA_OK);
        if (gwa_event_kind(event) == GWA_EVENT_REQUEST) {
            gwa_request_t *request = NULL;
            CHECK_EQ(gwa_event_request_kind(event), GWA_REQUEST_TOKEN);
            CHECK_STATUS(gwa_event_request(event, &request), GWA_OK);
            answer(request);
        }
        tokens -= gwa_event_kind(event) == GWA_EVENT_TOKEN;
        ready -= gwa_event_state_to(event) == GWA_STATE_READY;
        gwa_event_free(event);
    }
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;
    gwa_token_t *token = NULL;
    int poll;

    CHECK_EQ(argc, 2);
    poll = strcmp(argv[1], "poll") == 0;
    snprintf(given, sizeof given, ",%s", needed("GWA_TEST_TOKENS"));
    set(config, "client.id", "");
    CHECK_OK(gwa_config_set_secret(config, "client.secret", "", 0, &err));
    set(config, "token.grant", "application");
    /* Nobody to ask: refused at once. */
    CHECK_STATUS(gwa_client_new(config, &client, &err), GWA_E_MISSING_KEY);
    CHECK_CONTAINS(gwa_error_message(err, NULL), "on_ask");
    gwa_error_free(err);
    err = NULL;
    set(config, "delivery", argv[1]);
    if (!poll) {
        watch(config, &probe);
        probe.extra = asked;
    }
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    CHECK_OK(gwa_client_start(client, &err));
    if (poll) {
        polls(client, 1, 1);
    } else {
        WAIT(&probe, 20000, probe.states[GWA_STATE_READY] == 1 && probe.tokens == 1);
    }
    CHECK_STATUS(gwa_client_token(client, 0, 0, &token, &err), GWA_OK);
    CHECK(gwa_token_expires_in_ms(token) == 1200000 && gwa_token_refresh_token(token, NULL) == NULL);
    gwa_token_free(token);
    CHECK_OK(gwa_client_refresh_now(client, &err));
    if (poll) {
        polls(client, 1, 1);
    } else {
        WAIT(&probe, 20000, probe.tokens == 2 && probe.states[GWA_STATE_READY] == 2);
    }
    CHECK_EQ(questions, 3);
    CHECK_OK(gwa_client_shutdown(client, 5000 * (uint32_t)slowness(), NULL, &err));
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
