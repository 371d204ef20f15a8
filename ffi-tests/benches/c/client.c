/*
 * The library's side of the benchmark: the same jobs as programs/floor.rs and programs/naive.rs, through the C ABI.
 *
 *   client DELIVERY TOKEN_URL WS_URL CA_FILE JOB [N]
 *
 *   events  until N events were counted         idle    N clients, until killed
 *   send    N messages, one a millisecond       report  until one event, which is printed
 *   warm    a client first, then the one that is measured
 *   shared  as idle, with one source of tokens for all of them
 *
 * Prints lines of key=value.
 */
#define _GNU_SOURCE
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "genesys_ws_auth.h"

static sem_t finished;
static uint64_t wanted, events, bytes;
static int64_t cpu_from, cpu_to, wall_from, wall_to;
static int print_events;
/* Of the last wait before a dial. */
static int64_t waited_from, waited;

static int64_t now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void begin(void)
{
    cpu_from = now(CLOCK_PROCESS_CPUTIME_ID);
    wall_from = now(CLOCK_MONOTONIC);
}

static void end(void)
{
    cpu_to = now(CLOCK_PROCESS_CPUTIME_ID);
    wall_to = now(CLOCK_MONOTONIC);
    sem_post(&finished);
}

static void on_message(void *user_data, const gwa_event_t *message)
{
    size_t len;
    const char *data = gwa_event_data(message, &len);
    (void)user_data;
    if (print_events)
        printf("report=%.*s\n", (int)len, data);
    bytes += len;
    if (++events == 1)
        begin();
    if (events == wanted)
        end();
}

static void on_state(void *user_data, const gwa_event_t *change)
{
    (void)user_data;
    if (gwa_event_kind(change) != GWA_EVENT_STATE)
        return;
    if (gwa_event_state_to(change) == GWA_STATE_RECONNECTING)
        waited_from = now(CLOCK_MONOTONIC);
    else if (gwa_event_state_from(change) == GWA_STATE_RECONNECTING)
        waited = now(CLOCK_MONOTONIC) - waited_from;
}

static void check(gwa_status_t status, gwa_error_t *error, const char *what)
{
    if (status == GWA_OK)
        return;
    fprintf(stderr, "%s: %d %s\n", what, (int)status, error ? gwa_error_message(error, NULL) : "");
    exit(1);
}

static gwa_config_t *configure(char **args)
{
    static const char *const keys[] = {"delivery", "token.url", "ws.url", "tls.ca_file"};
    gwa_config_t *config;
    gwa_error_t *error = NULL;
    size_t i;
    check(gwa_config_new(&config), NULL, "config");
    for (i = 0; i < sizeof keys / sizeof *keys; i++)
        check(gwa_config_set(config, keys[i], args[i], &error), error, keys[i]);
    check(gwa_config_set(config, "client.id", "bench", &error), error, "client.id");
    check(gwa_config_set_secret(config, "client.secret", "secret", 6, &error), error, "client.secret");
    check(gwa_config_on_message(config, on_message, NULL, NULL), NULL, "on_message");
    if (strcmp(args[4], "report") == 0)
        check(gwa_config_on_state(config, on_state, NULL, NULL), NULL, "on_state");
    return config;
}

/* Without messages to receive, so without a way to deliver them. */
static gwa_token_source_t *source_of(char **args)
{
    gwa_config_t *config = configure(args);
    gwa_token_source_t *source;
    gwa_error_t *error = NULL;
    check(gwa_config_set(config, "delivery", "callbacks", &error), error, "delivery");
    check(gwa_token_source_new(config, &source, &error), error, "source");
    gwa_config_free(config);
    return source;
}

/* With tokens of a source, if there is one. */
static gwa_client_t *connect_one(const gwa_config_t *config, gwa_token_source_t *source)
{
    gwa_client_t *client;
    gwa_error_t *error = NULL;
    if (source)
        check(gwa_client_new_with_source(config, source, &client, &error), error, "client");
    else
        check(gwa_client_new(config, &client, &error), error, "client");
    check(gwa_client_connect(client, 60000, &error), error, "connect");
    return client;
}

static void send_all(gwa_client_t *client, long count)
{
    struct timespec pause = {0, 1000000};
    char text[96];
    long i;
    for (i = 0; i < count; i++) {
        int len = snprintf(text, sizeof text, "{\"at\":%lld,\"pad\":\"................................\"}",
                           (long long)now(CLOCK_MONOTONIC));
        check(gwa_client_send(client, text, (size_t)len, GWA_TEXT, NULL, NULL), NULL, "send");
        nanosleep(&pause, NULL);
    }
}

int main(int argc, char **argv)
{
    int64_t start = now(CLOCK_MONOTONIC), start_cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    const char *job = argc > 5 ? argv[5] : "";
    long n = argc > 6 ? atol(argv[6]) : 1;
    gwa_config_t *config;
    gwa_client_t *client;
    gwa_token_source_t *source;
    long i;

    if (argc < 6)
        return 2;
    sem_init(&finished, 0, 0);
    wanted = strcmp(job, "events") == 0 ? (uint64_t)n : 1;
    print_events = strcmp(job, "report") == 0 || strcmp(job, "send") == 0;
    config = configure(argv + 1);
    if (strcmp(job, "warm") == 0) {
        connect_one(config, NULL);
        start = now(CLOCK_MONOTONIC);
        start_cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    }
    source = strcmp(job, "shared") == 0 ? source_of(argv + 1) : NULL;
    client = connect_one(config, source);
    printf("ready_ns=%lld\nready_cpu_ns=%lld\n", (long long)(now(CLOCK_MONOTONIC) - start),
           (long long)(now(CLOCK_PROCESS_CPUTIME_ID) - start_cpu));
    if (strcmp(job, "warm") == 0) {
        fflush(stdout);
        _exit(0);
    }
    if (source || strcmp(job, "idle") == 0) {
        for (i = 1; i < n; i++)
            connect_one(config, source);
        gwa_config_free(config);
        printf("idle=%ld\n", n);
        fflush(stdout);
        /* Until the bench ends, however it ends. */
        while (getchar() != EOF)
            ;
        _exit(0);
    }
    if (strcmp(job, "send") == 0)
        send_all(client, n);
    while (sem_wait(&finished) != 0)
        ;
    printf("waited_ns=%lld\n", (long long)waited);
    printf("events=%llu\nbytes=%llu\ncpu_ns=%lld\nwall_ns=%lld\n", (unsigned long long)events,
           (unsigned long long)bytes, (long long)(cpu_to - cpu_from), (long long)(wall_to - wall_from));
    fflush(stdout);
    /* Without a farewell: what ends a program is not measured here. */
    _exit(0);
}
