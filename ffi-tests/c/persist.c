/*
 * A rotated refresh token is asked to be stored before its access token is used. Argument 1 says how the question is
 * answered: now, thread (another thread), late (after token.persist_timeout_ms), never (freed), fail.
 */
#include "common.h"

static const char *how;
static gwa_request_t *open_request;
static pthread_t answerer;
static int has_answerer;

static void *answers(void *request)
{
    CHECK_STATUS(gwa_request_complete((gwa_request_t *)request, NULL, 0, 0), GWA_OK);
    CHECK_STATUS(gwa_request_complete((gwa_request_t *)request, NULL, 0, 0), GWA_E_BAD_HANDLE);
    return NULL;
}

static void asked(struct probe *probe, int kind, const void *object)
{
    gwa_request_t *request = (gwa_request_t *)(uintptr_t)object;
    gwa_text_t *token = NULL;
    if (kind != GWA_EVENT_REQUEST) {
        return;
    }
    CHECK_EQ(gwa_request_kind(request), GWA_REQUEST_PERSIST_REFRESH_TOKEN);
    CHECK_STATUS(gwa_request_refresh_token(request, &token), GWA_OK);
    CHECK(*gwa_text_data(token, NULL) != 0);
    gwa_text_free(token);
    CHECK_STATUS(gwa_request_complete(request, "no answer here", 14, 0), GWA_E_INVALID_ARGUMENT);
    if (strcmp(how, "now") == 0) {
        answers(request);
    } else if (strcmp(how, "thread") == 0) {
        CHECK_EQ(pthread_create(&answerer, NULL, answers, request), 0);
        has_answerer = 1;
    } else if (strcmp(how, "fail") == 0) {
        CHECK_STATUS(gwa_request_fail(request, GWA_E_CALLBACK_FAILED, "the disk is full"), GWA_OK);
    } else if (strcmp(how, "late") == 0) {
        pthread_mutex_lock(&probe->lock);
        CHECK(open_request == NULL);
        open_request = request;
        pthread_mutex_unlock(&probe->lock);
    } else {
        gwa_request_free(request);
    }
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client;
    gwa_error_t *err = NULL;
    long long began = now_ms();

    CHECK_EQ(argc, 2);
    how = argv[1];
    client = new_client(&probe);
    probe.extra = asked;
    CHECK_OK(gwa_client_connect(client, 20000 * (uint32_t)slowness(), &err));
    tell("connect_ms", now_ms() - began);
    WAIT(&probe, 1000, probe.asks == 1 && probe.tokens == 1);
    if (open_request) {
        /* Too late: it is ignored, and the handle is used up all the same. */
        CHECK_STATUS(gwa_request_complete(open_request, NULL, 0, 0), GWA_OK);
        CHECK_STATUS(gwa_request_fail(open_request, 1, NULL), GWA_E_BAD_HANDLE);
    }
    if (has_answerer) {
        CHECK_EQ(pthread_join(answerer, NULL), 0);
    }
    tell("failures", (long long)probe.failures);
    finish(client, &probe);
    return 0;
}
