/*
 * How long a client takes to end, at whatever stage it is.
 *
 *   shutdown DELIVERY TOKEN_URL WS_URL CA_FILE [KEY VALUE]
 *
 * Starts a client; a line on standard input ends it. Prints `at=resolve` when the name hang.test is being resolved, which
 * takes for ever here, and `at=live` when it is Ready; then lines of key=value.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "genesys_ws_auth.h"

typedef int resolve_t(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* In the place of libc's: a resolver whose servers do not answer. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    void *real = dlsym(RTLD_NEXT, "getaddrinfo");
    resolve_t *resolve;
    if (node != NULL && strcmp(node, "hang.test") == 0) {
        puts("at=resolve");
        fflush(stdout);
        for (;;)
            pause();
    }
    memcpy(&resolve, &real, sizeof resolve);
    return resolve(node, service, hints, found);
}

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void on_state(void *user_data, const gwa_event_t *change)
{
    (void)user_data;
    if (gwa_event_kind(change) == GWA_EVENT_STATE && gwa_event_state_to(change) == GWA_STATE_READY) {
        puts("at=live");
        fflush(stdout);
    }
}

static void check(gwa_status_t status, gwa_error_t *error, const char *what)
{
    if (status == GWA_OK)
        return;
    fprintf(stderr, "%s: %d %s\n", what, (int)status, error ? gwa_error_message(error, NULL) : "");
    exit(1);
}

int main(int argc, char **argv)
{
    static const char *const keys[] = {"delivery", "token.url", "ws.url", "tls.ca_file"};
    gwa_config_t *config;
    gwa_client_t *client;
    gwa_error_t *error = NULL;
    gwa_status_t ended, freed;
    int64_t from, to;
    size_t i;
    if (argc < 5)
        return 2;
    check(gwa_config_new(&config), NULL, "config");
    for (i = 0; i < sizeof keys / sizeof *keys; i++)
        check(gwa_config_set(config, keys[i], argv[1 + i], &error), error, keys[i]);
    if (argc > 6)
        check(gwa_config_set(config, argv[5], argv[6], &error), error, argv[5]);
    check(gwa_config_set(config, "client.id", "bench", &error), error, "client.id");
    check(gwa_config_set_secret(config, "client.secret", "secret", 6, &error), error, "client.secret");
    check(gwa_config_on_state(config, on_state, NULL, NULL), NULL, "on_state");
    check(gwa_client_new(config, &client, &error), error, "client");
    gwa_config_free(config);
    check(gwa_client_start(client, &error), error, "start");
    while (getchar() != '\n')
        ;
    from = now();
    ended = gwa_client_shutdown(client, 10000, NULL, NULL);
    freed = gwa_client_free(client);
    to = now();
    printf("shutdown=%d\nfree=%d\nend_ns=%lld\n", (int)ended, (int)freed, (long long)(to - from));
    fflush(stdout);
    /* A look-up may hang yet. */
    _exit(0);
}
