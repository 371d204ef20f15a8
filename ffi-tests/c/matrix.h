/*
 * The environment in which every function of the header is called: functions.inc, which the harness makes from
 * matrix/functions.txt, has a call of each of them that is right. Any pointer of it can be replaced; what the call gave is
 * printed as a cell, which the harness compares with the matrix:
 *
 *   cell <tab> matrix <tab> column <tab> function <tab> result
 */
#ifndef GWA_TEST_MATRIX_H
#define GWA_TEST_MATRIX_H

#include "common.h"

#define COUNT_OF(array) (sizeof (array) / sizeof *(array))

/* ---- what the calls of functions.inc name ------------------------------------------------------------------ */

/* Live, or the client whose callback is running. */
static gwa_client_t *client;
/* Complete: clients can be made from it. */
static gwa_config_t *config;
static gwa_token_source_t *source;
/* One of each, owned. */
static gwa_error_t *error;
static gwa_text_t *text;
static gwa_token_t *token;
static gwa_audit_t *audit;
static gwa_event_t *message, *change, *lost, *gap, *token_event, *sent, *asked, *record, *line, *told;
static const char *const scopes[] = {"notifications"};
static const char *const topics[] = {"v2.users.a.presence"};
static const char *secret;
#define DIGITS "0123456789abcdef0123456789abcdef"
static const char chain_key[] = DIGITS DIGITS;
static const char sealed[] = "{\"mac_epoch\":1,\"mac\":\"" DIGITS DIGITS "\"}";
/* Places for results. */
static gwa_error_t *err, *out_error;
static gwa_text_t *out_text;
static gwa_token_t *out_token;
static gwa_audit_t *out_audit;
static gwa_event_t *out_event;
static gwa_request_t *out_request;
static gwa_config_t *out_config;
static gwa_client_t *out_client;
static gwa_token_source_t *out_source;
static gwa_audit_verify_t *out_verify;
static size_t len;
static uint64_t id;
static int32_t number;
static gwa_status_t status;
static gwa_shutdown_report_t report;
static gwa_metrics_t metrics;
/* Handles made for one call. */
static gwa_config_t *made_config;
static gwa_client_t *made_client;
static gwa_request_t *made_request;
static gwa_token_source_t *made_source;
static gwa_audit_verify_t *made_verify;

static inline gwa_config_t *own_config(void)
{
    CHECK_STATUS(gwa_config_new(&made_config), GWA_OK);
    return made_config;
}

static inline gwa_client_t *own_client(void)
{
    gwa_error_t *why = NULL;
    check_ok(__FILE__, __LINE__, "gwa_client_new", gwa_client_new(config, &made_client, &why), &why);
    return made_client;
}

static inline gwa_token_source_t *own_source(void)
{
    gwa_error_t *why = NULL;
    check_ok(__FILE__, __LINE__, "gwa_token_source_new", gwa_token_source_new(config, &made_source, &why), &why);
    return made_source;
}

/* Of the profile that has topics; not started. */
static inline gwa_client_t *own_subscriber(void)
{
    gwa_config_t *subscribing = NULL;
    CHECK_STATUS(gwa_config_new(&subscribing), GWA_OK);
    CHECK_STATUS(gwa_config_set(subscribing, "profile", "notifications", NULL), GWA_OK);
    CHECK_STATUS(gwa_config_set(subscribing, "client.id", "id", NULL), GWA_OK);
    CHECK_STATUS(gwa_config_set_secret(subscribing, "client.secret", "x", 1, NULL), GWA_OK);
    CHECK_STATUS(gwa_client_new(subscribing, &made_client, NULL), GWA_OK);
    gwa_config_free(subscribing);
    return made_client;
}

static inline gwa_request_t *own_request(void)
{
    CHECK_STATUS(gwa_event_request(asked, &made_request), GWA_OK);
    return made_request;
}

static inline gwa_audit_verify_t *own_verify(void)
{
    CHECK_STATUS(gwa_audit_verify_new(chain_key, 64, &made_verify, NULL), GWA_OK);
    return made_verify;
}

/* It does not get back to the harness. */
static inline gwa_audit_verify_t *freed_verify(void)
{
    gwa_audit_verify_t *freed = own_verify();
    made_verify = NULL;
    return freed;
}

static inline gwa_event_t *own_event(void)
{
    gwa_event_t *own = NULL;
    CHECK_STATUS(gwa_event_clone(message, &own), GWA_OK);
    return own;
}

static inline gwa_text_t *own_text(void)
{
    gwa_text_t *own = NULL;
    CHECK_STATUS(gwa_scopes_check("opaque", 6, NULL, 0, &own, NULL), GWA_OK);
    return own;
}

#define own_error() gwa_error_clone(error)
#define own_token() gwa_token_clone(token)
#define own_audit() gwa_audit_clone(audit)

static inline void no_message(void *user_data, const gwa_event_t *event)
{
    (void)user_data, (void)event;
}

static inline int32_t no_audit(void *user_data, const gwa_audit_t *one)
{
    (void)user_data, (void)one;
    return 0;
}

static inline void no_state(void *user_data, const gwa_event_t *event)
{
    (void)user_data, (void)event;
}

static inline void no_token(void *user_data, const gwa_token_t *one)
{
    (void)user_data, (void)one;
}

static inline void no_ask(void *user_data, gwa_request_t *request)
{
    (void)user_data;
    gwa_request_free(request);
}

static inline void no_sent(void *user_data, uint64_t which, gwa_status_t outcome)
{
    (void)user_data, (void)which, (void)outcome;
}

static inline void no_log(void *user_data, int32_t level, const char *target, const char *words)
{
    (void)user_data, (void)level, (void)target, (void)words;
}

static inline void no_thread(void *user_data, int32_t moment, int32_t thread, const char *name)
{
    (void)user_data, (void)moment, (void)thread, (void)name;
}

static int releases;

static inline void no_release(void *user_data)
{
    (void)user_data;
    releases++;
}

/* ---- one call ---------------------------------------------------------------------------------------------- */

/* Which argument is replaced (-1: none), and by what. */
static int at = -1;
static void *instead;
/* What the call gave, in words, and as a status (0 where it gives none). */
static char result[64];
static gwa_status_t outcome;

static inline void got_status(gwa_status_t got)
{
    outcome = got;
    snprintf(result, sizeof result, "%s", gwa_status_name(got));
}

static inline void got_number(long long got)
{
    snprintf(result, sizeof result, "%lld", got);
}

static inline void got_object(int some)
{
    snprintf(result, sizeof result, "%s", some ? "object" : "NULL");
}

static inline void got_done(void)
{
    snprintf(result, sizeof result, "done");
}

/* A text ends with NUL at the length that was given; for none that is 0. */
static inline void got_text(const void *got, int measured)
{
    snprintf(result, sizeof result, "%s", got ? "text" : "NULL");
    if (got) {
        (void)strlen((const char *)got);
    }
    if (measured) {
        CHECK(got ? ((const char *)got)[len] == 0 : len == 0);
    }
}

struct parameter {
    const char *name;
    int index;
    /* c, f, r: a checked handle of a client, configuration, request; p: any other pointer */
    char kind;
};

struct function {
    const char *name;
    void (*call)(void);
    /* it ends the client, so that it needs one of its own */
    int ends;
    /* the index of `err`, or -1 */
    int err;
    struct parameter pointers[5]; /* the last one has no name */
};

#include "functions.inc"

/* Places are written only on success, but for the error, which is always written, and names the argument at fault. */
static inline void check_places(const struct function *function, const char *column)
{
    if (outcome >= GWA_E_BAD_HANDLE) {
        CHECK(!out_error && !out_text && !out_token && !out_audit && !out_event && !out_request);
        CHECK(!out_config && !out_client && !out_source && !out_verify);
        CHECK(id == 77 && number == 77 && status == 77);
    }
    if (function->err >= 0 && at != function->err) {
        CHECK_EQ(gwa_error_code(err), outcome >= GWA_E_BAD_HANDLE ? outcome : GWA_OK);
        CHECK((err != NULL) == (outcome >= GWA_E_BAD_HANDLE));
        if (outcome == GWA_E_INVALID_ARGUMENT && at >= 0) {
            check_contains(function->name, at, gwa_error_message(err, NULL), column);
        }
        gwa_error_free(err);
    }
}

static inline void free_places(void)
{
    gwa_error_free(out_error);
    gwa_text_free(out_text);
    gwa_token_free(out_token);
    gwa_audit_free(out_audit);
    gwa_event_free(out_event);
    gwa_request_free(out_request);
    gwa_config_free(out_config);
    gwa_audit_verify_free(out_verify);
    gwa_audit_verify_free(made_verify);
    CHECK_STATUS(gwa_client_free(out_client), GWA_OK);
    CHECK_STATUS(gwa_token_source_free(out_source), GWA_OK);
    gwa_request_free(made_request);
    gwa_config_free(made_config);
    if (gwa_client_free(made_client) != GWA_OK) {
        CHECK_STATUS(gwa_client_free(made_client), GWA_E_BAD_HANDLE);
    }
    if (gwa_token_source_free(made_source) != GWA_OK) {
        CHECK_STATUS(gwa_token_source_free(made_source), GWA_E_BAD_HANDLE);
    }
}

/* Calls a function once, with one argument replaced or none, and prints what came of it. */
static inline void cell(const char *matrix, const char *column, const struct function *function, int index, void *value)
{
    static gwa_error_t *const unwritten = NULL;
    at = index;
    instead = value;
    outcome = GWA_OK;
    err = (gwa_error_t *)(uintptr_t)&unwritten; /* a pointer no error has */
    out_error = NULL, out_text = NULL, out_token = NULL, out_audit = NULL, out_event = NULL;
    out_request = NULL, out_config = NULL, out_client = NULL, out_source = NULL, out_verify = NULL;
    made_request = NULL, made_config = NULL, made_client = NULL, made_source = NULL, made_verify = NULL;
    len = 77, id = 77, number = 77, status = 77, releases = 0;
    GWA_SHUTDOWN_REPORT_INIT(&report);
    GWA_METRICS_INIT(&metrics);
    printf("cell\t%s\t%s\t%s\t", matrix, column, function->name);
    fflush(stdout); /* should the call not return, it is the last one that is named */
    function->call();
    printf("%s\n", result);
    CHECK(err != (gwa_error_t *)(uintptr_t)&unwritten || function->err < 0 || at == function->err);
    check_places(function, column);
    free_places();
    /* Once each, also where the registration failed; none was given if that is the argument replaced. */
    CHECK_EQ(releases, strncmp(function->name, "gwa_config_on_", 14) == 0 && index != 3);
}

/* ---- samples ----------------------------------------------------------------------------------------------- */

static inline gwa_config_t *silent_config(const char *delivery)
{
    gwa_config_t *made = new_config();
    set(made, "delivery", delivery);
    CHECK_STATUS(gwa_config_on_log(made, no_log, NULL, NULL), GWA_OK);
    return made;
}

/* Where an event of this kind is kept as a sample. */
static inline gwa_event_t **place_of(const gwa_event_t *event)
{
    switch (gwa_event_kind(event)) {
    case GWA_EVENT_MESSAGE:
        return &message;
    case GWA_EVENT_STATE:
        return &change;
    case GWA_EVENT_GAP_BEGIN:
        return &lost;
    case GWA_EVENT_GAP_END:
        return &gap;
    case GWA_EVENT_TOKEN:
        return &token_event;
    case GWA_EVENT_SENT:
        return &sent;
    case GWA_EVENT_REQUEST:
        return &asked;
    case GWA_EVENT_AUDIT:
        return &record;
    case GWA_EVENT_LOG:
        return &line;
    default:
        return NULL;
    }
}

static inline int has_samples(void)
{
    return message && change && lost && gap && token_event && sent && asked && record && line;
}

static inline void sample(gwa_event_t *event)
{
    gwa_event_t **place = place_of(event);
    if (gwa_event_kind(event) == GWA_EVENT_REQUEST) {
        gwa_request_t *request = NULL;
        CHECK_STATUS(gwa_event_request(event, &request), GWA_OK);
        CHECK_STATUS(gwa_request_complete(request, NULL, 0, 0), GWA_OK);
    }
    if (!place || *place) {
        gwa_event_free(event);
        return;
    }
    *place = event;
}

/* What became of a topic, by a client of the other profile. */
static inline void take_topics(void)
{
    gwa_config_t *polled = silent_config("poll");
    gwa_client_t *donor = NULL;
    gwa_error_t *why = NULL;
    set(polled, "profile", "notifications");
    set(polled, "ws.url", "");
    set(polled, "api.url", needed("GWA_API_URL"));
    set(polled, "notifications.streaming_host", needed("GWA_STREAMING_HOST"));
    check_ok(__FILE__, __LINE__, "gwa_client_new", gwa_client_new(polled, &donor, &why), &why);
    gwa_config_free(polled);
    CHECK_STATUS(gwa_client_subscribe(donor, topics, 1, NULL, 0, NULL), GWA_OK);
    check_ok(__FILE__, __LINE__, "gwa_client_start", gwa_client_start(donor, &why), &why);
    while (gwa_event_kind(told) != GWA_EVENT_TOPICS) {
        gwa_event_free(told);
        told = NULL;
        CHECK_STATUS(gwa_client_next_event(donor, (uint32_t)(30000 * slowness()), &told), GWA_OK);
    }
    CHECK_STATUS(gwa_client_free(donor), GWA_OK);
}

/* One event of each kind, by a client in poll mode whose first socket the server drops. They outlive it. */
static inline void take_samples(void)
{
    gwa_config_t *polled = silent_config("poll");
    gwa_client_t *donor = NULL;
    gwa_event_t *event = NULL;
    gwa_error_t *why = NULL;
    check_ok(__FILE__, __LINE__, "gwa_client_new", gwa_client_new(polled, &donor, &why), &why);
    gwa_config_free(polled);
    check_ok(__FILE__, __LINE__, "gwa_client_start", gwa_client_start(donor, &why), &why);
    CHECK_STATUS(gwa_client_send(donor, "x", 1, GWA_TEXT, NULL, NULL), GWA_OK);
    while (!has_samples()) {
        CHECK_STATUS(gwa_client_next_event(donor, (uint32_t)(30000 * slowness()), &event), GWA_OK);
        sample(event);
    }
    CHECK_STATUS(gwa_client_free(donor), GWA_OK);
    take_topics();
    secret = needed("GENESYS_CLIENT_SECRET");
    config = silent_config("callbacks");
    CHECK_STATUS(gwa_config_set(config, "no.such.key", "", &error), GWA_E_UNKNOWN_KEY);
    text = own_text();
    token = gwa_token_clone(gwa_event_token(token_event));
    audit = gwa_audit_clone(gwa_event_audit(record));
    CHECK_STATUS(gwa_token_source_new(config, &source, NULL), GWA_OK);
    CHECK(error && text && token && audit);
}

static inline void free_samples(void)
{
    gwa_event_t *events[] = {message, change, lost, gap, token_event, sent, asked, record, line, told};
    size_t i;
    for (i = 0; i < COUNT_OF(events); i++) {
        gwa_event_free(events[i]);
    }
    gwa_error_free(error);
    gwa_text_free(text);
    gwa_token_free(token);
    gwa_audit_free(audit);
    CHECK_STATUS(gwa_token_source_free(source), GWA_OK);
    gwa_config_free(config);
}

#endif
