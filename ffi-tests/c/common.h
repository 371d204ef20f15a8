/*
 * What the C programs of this directory share: checks that name file and line, a client made from the environment,
 * and a probe that counts every callback. Exit status 0 means that all checks held.
 *
 * No program sleeps: it waits for what callbacks count, with a limit, by WAIT().
 */
#ifndef GWA_TEST_COMMON_H
#define GWA_TEST_COMMON_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "genesys_ws_auth.h"

/* ---- checks ---------------------------------------------------------------------------------------------- */

static inline void fail_at(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: %s\n", file, line, what);
    fflush(NULL);
    _exit(1);
}

#define FAIL(what) fail_at(__FILE__, __LINE__, (what))
#define CHECK(condition) ((condition) ? (void)0 : FAIL("failed: " #condition))
#define CHECK_EQ(left, right) check_eq(__FILE__, __LINE__, #left " == " #right, (long long)(left), (long long)(right))
#define CHECK_STATUS(call, wanted) check_status(__FILE__, __LINE__, #call, (call), (wanted))
/* A call that takes `&err` last, with `gwa_error_t *err` in scope. */
#define CHECK_OK(call) check_ok(__FILE__, __LINE__, #call, (call), &err)
#define CHECK_CONTAINS(text, part) check_contains(__FILE__, __LINE__, (text), (part))

static inline void check_eq(const char *file, int line, const char *what, long long left, long long right)
{
    char text[512];
    if (left != right) {
        snprintf(text, sizeof text, "failed: %s: %lld, %lld", what, left, right);
        fail_at(file, line, text);
    }
}

static inline void check_status(const char *file, int line, const char *what, gwa_status_t got, gwa_status_t wanted)
{
    char text[512];
    if (got != wanted) {
        snprintf(text, sizeof text, "%s: %s, wanted %s", what, gwa_status_name(got), gwa_status_name(wanted));
        fail_at(file, line, text);
    }
}

static inline void check_ok(const char *file, int line, const char *what, gwa_status_t got, gwa_error_t **err)
{
    char text[2048];
    if (got != GWA_OK) {
        snprintf(text, sizeof text, "%s: %s: %s (%s)", what, gwa_status_name(got),
                 *err ? gwa_error_message(*err, NULL) : "no error object", *err ? gwa_error_stage(*err, NULL) : "");
        fail_at(file, line, text);
    }
    CHECK(*err == NULL);
}

static inline void check_contains(const char *file, int line, const char *text, const char *part)
{
    char message[2048];
    if (!text || !strstr(text, part)) {
        snprintf(message, sizeof message, "\"%s\" is not in \"%s\"", part, text ? text : "(NULL)");
        fail_at(file, line, message);
    }
}

/* ---- environment and time -------------------------------------------------------------------------------- */

static inline const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static inline const char *needed(const char *name)
{
    if (!*environment(name)) {
        FAIL(name);
    }
    return getenv(name);
}

static inline long number_or(const char *name, long otherwise)
{
    return *environment(name) ? strtol(getenv(name), NULL, 10) : otherwise;
}

/* How much slower this run is than a plain one: valgrind, say. */
static inline long slowness(void)
{
    return number_or("GWA_TEST_SLOWNESS", 1);
}

static inline long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for the harness to write a line: it has seen what it wanted in the simulator's record. */
static inline void wait_for_harness(void)
{
    char line[16];
    CHECK(fgets(line, sizeof line, stdin) != NULL);
}

/* Tells the harness a number, which it reads from the output. */
static inline void tell(const char *name, long long number)
{
    printf("%s=%lld\n", name, number);
    fflush(stdout);
}

/* ---- the probe: counts every callback of one client ------------------------------------------------------ */

#define PROBE_CALLBACKS 8

struct probe {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int quiet; /* prints nothing */
    int any_format; /* of the records */
    int dead;  /* set after a free that returned GWA_OK: no callback may come any more */

    pthread_t thread;
    int thread_known, other_threads;

    unsigned long messages, texts, binaries;
    unsigned long long bytes;
    unsigned long by_connection[8];
    unsigned long long connection;
    unsigned long stale; /* messages of a socket that a newer one had taken over from */

    int state, last_from;
    unsigned long states[32];
    gwa_status_t error, gap_cause;
    char stage[64];
    unsigned long gap_begins, gap_ends, handovers, tokens, sents, unsents, asks, logs;
    unsigned long resumes, clock_steps;
    long long slept_ms, stepped_ms; /* in all */

    unsigned long audits, siems, scopes, attempts, failures;
    unsigned long long audit_seq, siem_seq;
    unsigned long holes, disorder;

    unsigned long released;
    void (*extra)(struct probe *, int kind, const void *object); /* called with the lock free */
};

#define PROBE_INIT {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

/* Waits until `condition` holds, which is evaluated under the probe's lock; fails after `ms` (times slowness). */
#define WAIT(probe, ms, condition)                                                                                     \
    do {                                                                                                               \
        struct timespec until_ = probe_deadline(ms);                                                                   \
        int over_ = 0;                                                                                                 \
        pthread_mutex_lock(&(probe)->lock);                                                                            \
        while (!(condition)) {                                                                                         \
            if (over_) {                                                                                               \
                probe_print(probe);                                                                                    \
                FAIL("in vain: " #condition);                                                                          \
            }                                                                                                          \
            over_ = pthread_cond_timedwait(&(probe)->changed, &(probe)->lock, &until_) == ETIMEDOUT;                   \
        }                                                                                                              \
        pthread_mutex_unlock(&(probe)->lock);                                                                          \
    } while (0)

static inline struct timespec probe_deadline(long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    ms *= slowness();
    until.tv_sec += ms / 1000 + (until.tv_nsec + ms % 1000 * 1000000) / 1000000000;
    until.tv_nsec = (until.tv_nsec + ms % 1000 * 1000000) % 1000000000;
    return until;
}

static inline void probe_print(const struct probe *probe)
{
    fprintf(stderr, "state %s, error %s at %s, messages %lu, tokens %lu, gaps %lu/%lu, handovers %lu, audits %lu\n",
            gwa_state_name(probe->state), gwa_status_name(probe->error), probe->stage, probe->messages, probe->tokens,
            probe->gap_begins, probe->gap_ends, probe->handovers, probe->audits);
}

static inline void probe_enter(struct probe *probe)
{
    pthread_mutex_lock(&probe->lock);
    if (probe->dead) {
        FAIL("a callback after the client was freed");
    }
    if (!probe->thread_known) {
        probe->thread = pthread_self();
        probe->thread_known = 1;
    }
    probe->other_threads += !pthread_equal(probe->thread, pthread_self());
}

static inline void probe_leave(struct probe *probe, int kind, const void *object)
{
    pthread_mutex_unlock(&probe->lock);
    if (probe->extra) {
        probe->extra(probe, kind, object);
    }
    pthread_cond_broadcast(&probe->changed);
}

static inline void probe_error(struct probe *probe, const gwa_error_t *error)
{
    if (error) {
        probe->error = gwa_error_code(error);
        snprintf(probe->stage, sizeof probe->stage, "%s", gwa_error_stage(error, NULL));
        if (!probe->quiet) {
            fprintf(stderr, "error: %s %s at %s: %s (%s)\n", gwa_error_name(error, NULL),
                    gwa_error_category_name(error, NULL), gwa_error_stage(error, NULL), gwa_error_message(error, NULL),
                    gwa_error_hint(error, NULL));
        }
    }
}

static inline void on_message(void *user_data, const gwa_event_t *message)
{
    struct probe *probe = (struct probe *)user_data;
    size_t len = 0;
    const char *data = (const char *)gwa_event_data(message, &len);
    unsigned long long connection = gwa_event_connection(message);
    probe_enter(probe);
    CHECK_EQ(gwa_event_kind(message), GWA_EVENT_MESSAGE);
    CHECK(data != NULL && data[len] == 0);
    probe->messages++;
    probe->texts += gwa_event_message_kind(message) == GWA_TEXT;
    probe->binaries += gwa_event_message_kind(message) == GWA_BINARY;
    probe->bytes += len;
    probe->stale += connection < probe->connection;
    probe->connection = connection;
    if (connection < sizeof probe->by_connection / sizeof probe->by_connection[0]) {
        probe->by_connection[connection]++;
    }
    probe_leave(probe, GWA_EVENT_MESSAGE, message);
}

static inline void on_state(void *user_data, const gwa_event_t *change)
{
    struct probe *probe = (struct probe *)user_data;
    int kind = gwa_event_kind(change);
    probe_enter(probe);
    switch (kind) {
    case GWA_EVENT_STATE:
        probe->last_from = gwa_event_state_from(change);
        probe->state = gwa_event_state_to(change);
        CHECK(probe->state >= 0 && probe->state < 32);
        probe->states[probe->state]++;
        if (!probe->quiet) {
            fprintf(stderr, "state: %s -> %s: %s\n", gwa_state_name(probe->last_from), gwa_state_name(probe->state),
                    gwa_event_reason(change, NULL));
        }
        break;
    case GWA_EVENT_GAP_BEGIN:
        probe->gap_begins++;
        CHECK_EQ(gwa_event_gap_number(change), probe->gap_begins);
        CHECK(gwa_event_gap_from_ms(change) > 1500000000000ull);
        probe->gap_cause = gwa_event_outcome(change);
        break;
    case GWA_EVENT_GAP_END:
        probe->gap_ends++;
        CHECK_EQ(gwa_event_gap_number(change), probe->gap_ends);
        CHECK(gwa_event_gap_to_ms(change) >= gwa_event_gap_from_ms(change));
        break;
    case GWA_EVENT_HANDOVER:
        probe->handovers++;
        CHECK(gwa_event_connection(change) > gwa_event_previous_connection(change));
        break;
    case GWA_EVENT_RESUMED:
        probe->resumes++;
        probe->slept_ms += gwa_event_clock_ms(change);
        break;
    case GWA_EVENT_CLOCK_STEP:
        probe->clock_steps++;
        probe->stepped_ms += gwa_event_clock_ms(change);
        break;
    default:
        FAIL("a kind that is no state");
    }
    probe_error(probe, gwa_event_error(change));
    probe_leave(probe, kind, change);
}

static inline void on_token(void *user_data, const gwa_token_t *token)
{
    struct probe *probe = (struct probe *)user_data;
    probe_enter(probe);
    probe->tokens++;
    CHECK(*gwa_token_access_token(token, NULL) != 0);
    CHECK(gwa_token_expires_in_ms(token) > 0 && gwa_token_granted_at_ms(token) > 1500000000000ull);
    CHECK(strcmp(gwa_token_type(token, NULL), "bearer") == 0 && gwa_token_scope(token, NULL) != NULL);
    probe_leave(probe, GWA_EVENT_TOKEN, token);
}

static inline void on_sent(void *user_data, uint64_t id, gwa_status_t outcome)
{
    struct probe *probe = (struct probe *)user_data;
    probe_enter(probe);
    CHECK(id > 0);
    probe->sents += outcome == GWA_OK;
    probe->unsents += outcome != GWA_OK;
    probe_leave(probe, GWA_EVENT_SENT, &id);
}

static inline void on_ask(void *user_data, gwa_request_t *request)
{
    struct probe *probe = (struct probe *)user_data;
    probe_enter(probe);
    probe->asks++;
    probe_leave(probe, GWA_EVENT_REQUEST, request);
    if (!probe->extra) {
        gwa_request_free(request);
    }
}

/* seq runs without a hole for on_audit; on_siem is given some of the records, each after on_audit was. */
static inline int32_t on_record(void *user_data, const gwa_audit_t *record)
{
    struct probe *probe = (struct probe *)user_data;
    unsigned long long seq = gwa_audit_seq(record);
    const char *json = gwa_audit_json(record, NULL);
    int siem = gwa_audit_is_siem(record);
    probe_enter(probe);
    CHECK(json != NULL && (json[0] == '{' || probe->any_format) && !strchr(json, '\n'));
    if (siem) {
        probe->siems++;
        probe->disorder += seq != probe->audit_seq || seq <= probe->siem_seq;
        probe->siem_seq = seq;
        CHECK(strstr(json, "\"severity\":") != NULL || probe->any_format);
    } else {
        probe->audits++;
        probe->holes += seq != probe->audit_seq + 1;
        probe->audit_seq = seq;
        probe->scopes += strcmp(gwa_audit_kind(record, NULL), "scope_validation") == 0;
        probe->attempts += strcmp(gwa_audit_kind(record, NULL), "authentication_attempt") == 0;
        probe->failures += strstr(json, "\"status\":\"failure\"") != NULL;
    }
    if (!probe->quiet) {
        printf("%s: %s\n", siem ? "siem" : "audit", json);
    }
    probe_leave(probe, siem ? GWA_EVENT_SIEM : GWA_EVENT_AUDIT, record);
    return 0;
}

static inline void on_log(void *user_data, int32_t level, const char *target, const char *text)
{
    struct probe *probe = (struct probe *)user_data;
    probe_enter(probe);
    CHECK(level >= GWA_LOG_ERROR && level <= GWA_LOG_TRACE);
    probe->logs++;
    if (!probe->quiet) {
        fprintf(stderr, "log: %d %s %s\n", (int)level, target, text);
    }
    probe_leave(probe, GWA_EVENT_LOG, text);
}

/* Release functions may run on any thread, and after the client was freed. */
static inline void on_release(void *user_data)
{
    struct probe *probe = (struct probe *)user_data;
    pthread_mutex_lock(&probe->lock);
    probe->released++;
    pthread_cond_broadcast(&probe->changed);
    pthread_mutex_unlock(&probe->lock);
}

/* ---- configurations and clients -------------------------------------------------------------------------- */

static inline void set(gwa_config_t *config, const char *key, const char *value)
{
    gwa_error_t *err = NULL;
    CHECK_OK(gwa_config_set(config, key, value, &err));
}

/* "key=value;key=value" of GWA_TEST_SET; of a secret "!key=value". */
static inline void set_given(gwa_config_t *config)
{
    gwa_error_t *err = NULL;
    char given[1024], *place = given, *pair;
    snprintf(given, sizeof given, "%s", environment("GWA_TEST_SET"));
    while ((pair = strtok_r(place, ";", &place)) != NULL) {
        char *value = strchr(pair, '=');
        CHECK(value != NULL);
        *value++ = 0;
        if (*pair == '!') {
            CHECK_OK(gwa_config_set_secret(config, pair + 1, value, strlen(value), &err));
        } else {
            set(config, pair, value);
        }
    }
}

/* The simulator's URLs, CA and credentials, as the harness gives them. */
static inline gwa_config_t *new_config(void)
{
    gwa_config_t *config = NULL;
    gwa_error_t *err = NULL;
    struct sigaction action;
    /* The harness must not hide what SIGPIPE does to an ordinary program. */
    CHECK(sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    CHECK_STATUS(GWA_CHECK_ABI(), GWA_OK);
    CHECK_STATUS(gwa_config_new(&config), GWA_OK);
    CHECK_OK(gwa_config_set_from_env(config, &err));
    set(config, "token.url", needed("GWA_TOKEN_URL"));
    set(config, "ws.url", needed("GWA_WS_URL"));
    if (*environment("GWA_CA_FILE")) {
        set(config, "tls.ca_file", getenv("GWA_CA_FILE"));
    } else {
        set(config, "net.allow_plain_loopback", "true");
    }
    set_given(config);
    return config;
}

static inline void watch(gwa_config_t *config, struct probe *probe)
{
    CHECK_STATUS(gwa_config_on_message(config, on_message, probe, on_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_state(config, on_state, probe, on_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_token(config, on_token, probe, on_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_sent(config, on_sent, probe, on_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_ask(config, on_ask, probe, on_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_audit(config, on_record, probe, on_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_siem(config, on_record, probe, on_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_log(config, on_log, probe, on_release), GWA_OK);
}

/* A client of the simulator whose callbacks the probe counts; not started. */
static inline gwa_client_t *new_client(struct probe *probe)
{
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;
    watch(config, probe);
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    return client;
}

static inline gwa_client_t *connected(struct probe *probe)
{
    gwa_client_t *client = new_client(probe);
    gwa_error_t *err = NULL;
    CHECK_OK(gwa_client_connect(client, (uint32_t)(20000 * slowness()), &err));
    return client;
}

static inline gwa_client_t *started(struct probe *probe)
{
    gwa_client_t *client = new_client(probe);
    gwa_error_t *err = NULL;
    CHECK_OK(gwa_client_start(client, &err));
    return client;
}

static inline gwa_metrics_t metrics_of(gwa_client_t *client)
{
    gwa_metrics_t metrics;
    GWA_METRICS_INIT(&metrics);
    CHECK_STATUS(gwa_client_metrics(client, &metrics), GWA_OK);
    return metrics;
}

/* Nothing is left: every callback was released once, every object freed, no record lost. */
static inline void check_clean(struct probe *probe)
{
    pthread_mutex_lock(&probe->lock);
    CHECK_EQ(probe->released, PROBE_CALLBACKS);
    CHECK_EQ(probe->holes, 0);
    CHECK_EQ(probe->disorder, 0);
    CHECK_EQ(probe->other_threads, 0);
    probe->dead = 1;
    pthread_mutex_unlock(&probe->lock);
}

/* Shuts down and frees a client that is well. */
static inline void finish(gwa_client_t *client, struct probe *probe)
{
    gwa_error_t *err = NULL;
    gwa_shutdown_report_t report;
    GWA_SHUTDOWN_REPORT_INIT(&report);
    CHECK_OK(gwa_client_shutdown(client, (uint32_t)(5000 * slowness()), &report, &err));
    CHECK_EQ(report.complete, 1);
    CHECK_EQ(report.audit_undelivered, 0);
    CHECK(report.stuck_callback == NULL);
    tell("close_handshake", report.close_handshake);
    tell("messages", (long long)probe->messages);
    tell("gaps", (long long)probe->gap_begins);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    check_clean(probe);
    CHECK_EQ(gwa_debug_live_objects(), 0);
}

#endif
