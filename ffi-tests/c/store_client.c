/*
 * A client with a token store (token.store, in GWA_TEST_SET). Argument 1 says what is expected of it: a number of
 * tokens, after which it shuts down; "live", which goes on until it is killed; or "refused", a connect that fails, with
 * what its error says.
 */
#include "common.h"

/* The store comes first: when the application is asked, the file has the token already. */
static void asked(struct probe *probe, int kind, const void *object)
{
    gwa_request_t *request = (gwa_request_t *)(uintptr_t)object;
    gwa_text_t *token = NULL;
    char content[8192];
    FILE *file;
    (void)probe;
    if (kind != GWA_EVENT_REQUEST) {
        return;
    }
    if (gwa_request_kind(request) != GWA_REQUEST_PERSIST_REFRESH_TOKEN) {
        gwa_request_free(request);
        return;
    }
    CHECK_STATUS(gwa_request_refresh_token(request, &token), GWA_OK);
    if (!*environment("GWA_TEST_MAY_FAIL")) {
        file = fopen(needed("GWA_TEST_STORE"), "r");
        CHECK(file != NULL);
        content[fread(content, 1, sizeof content - 1, file)] = 0;
        fclose(file);
        CHECK(strstr(content, gwa_text_data(token, NULL)) != NULL);
    }
    gwa_text_free(token);
    CHECK_STATUS(gwa_request_complete(request, NULL, 0, 0), GWA_OK);
}

static void print(const char *name, const char *text)
{
    printf("%s: %s\n", name, text);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client;
    gwa_error_t *err = NULL;
    unsigned long wanted, n;

    CHECK_EQ(argc, 2);
    probe.extra = asked;
    if (strcmp(argv[1], "refused") == 0) {
        client = new_client(&probe);
        CHECK(gwa_client_connect(client, (uint32_t)(20000 * slowness()), &err) != GWA_OK);
        CHECK(err != NULL);
        print("name", gwa_error_name(err, NULL));
        print("message", gwa_error_message(err, NULL));
        print("hint", gwa_error_hint(err, NULL));
        gwa_error_free(err);
        finish(client, &probe);
        return 0;
    }
    wanted = strcmp(argv[1], "live") == 0 ? (unsigned long)-1 : strtoul(argv[1], NULL, 10);
    probe.quiet = 1;
    client = connected(&probe);
    tell("connected", 1);
    for (n = 2; n <= wanted; n++) {
        CHECK_OK(gwa_client_refresh_now(client, &err));
        WAIT(&probe, 60000, probe.tokens >= n);
    }
    tell("failures", (long long)probe.failures);
    finish(client, &probe);
    return 0;
}
