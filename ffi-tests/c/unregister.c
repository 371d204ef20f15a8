/*
 * Argument 1: what is done; argument 2: the delivery.
 *
 *   threads   each callback is taken away by another thread while messages arrive
 *   inside    each callback takes itself away, and on_message others
 *   mutex     all are taken away under a mutex that they and their release functions take
 *   before    some before the start, some after the shutdown
 *   race      three threads take each callback away while the client is freed
 *   shared    the configuration and another client have the callbacks too
 *
 * Whatever is done: no call comes after a release, or after GWA_OK, and each release function is called once.
 */
#define _GNU_SOURCE
#include "common.h"

#define ALL 9

/* One callback's user data. */
struct one {
    int callback, calls, released, gone, asks_back;
    char released_on[16];
};

static struct one ones[ALL + 1];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
/* Held by callbacks and releases in "mutex". */
static pthread_mutex_t outer = PTHREAD_MUTEX_INITIALIZER;
static gwa_client_t *client;
static const char *what;
static int is_poll, is_inline, freed;

static int inside(void)
{
    return strcmp(what, "inside") == 0;
}

static int takes_outer(void)
{
    return strcmp(what, "mutex") == 0;
}

/* Waits for `condition`, which is looked at under the lock. */
#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        struct timespec until_ = probe_deadline(30000);                                                                \
        int over_ = 0;                                                                                                 \
        pthread_mutex_lock(&lock);                                                                                     \
        while (!(condition)) {                                                                                         \
            CHECK(!over_ && #condition);                                                                               \
            over_ = pthread_cond_timedwait(&changed, &lock, &until_) == ETIMEDOUT;                                     \
        }                                                                                                              \
        pthread_mutex_unlock(&lock);                                                                                   \
    } while (0)

static gwa_status_t take(int callback, uint32_t timeout_ms)
{
    return gwa_client_unregister(client, callback, timeout_ms);
}

/* In a callback that is called for the first time: itself is deferred, whatever the time limit; nothing waits. */
static void take_inside(struct one *one)
{
    gwa_status_t status;
    CHECK_STATUS(take(one->callback, GWA_NO_LIMIT), GWA_DEFERRED);
    CHECK_STATUS(take(one->callback, GWA_NO_LIMIT), GWA_DEFERRED);
    CHECK_STATUS(gwa_client_unregister_later(client, one->callback), GWA_OK);
    CHECK_EQ(one->released, 0);
    if (one->callback == GWA_CALLBACK_MESSAGE) {
        status = take(GWA_CALLBACK_SENT, GWA_NO_LIMIT);
        /* inline: its thread is another one, which may have been quick */
        CHECK(status == GWA_OK || (is_inline && status == GWA_DEFERRED));
        CHECK(is_inline || ones[GWA_CALLBACK_SENT].released == 1);
    }
}

static void called(void *user_data)
{
    struct one *one = (struct one *)user_data;
    int first;
    if (takes_outer()) {
        pthread_mutex_lock(&outer);
    }
    pthread_mutex_lock(&lock);
    CHECK_EQ(one->released, 0);
    CHECK(!one->gone && !(freed && !strcmp(what, "race")));
    first = one->calls++ == 0;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    if (first && inside()) {
        take_inside(one);
    }
    if (takes_outer()) {
        pthread_mutex_unlock(&outer);
    }
}

static void release(void *user_data)
{
    struct one *one = (struct one *)user_data;
    if (takes_outer()) {
        pthread_mutex_lock(&outer);
    }
    if (one->asks_back) {
        CHECK_STATUS(take(one->callback, GWA_NO_LIMIT), GWA_DEFERRED);
        CHECK_STATUS(gwa_client_connect(client, 0, NULL), GWA_E_REENTRANT);
    }
    pthread_mutex_lock(&lock);
    CHECK_EQ(one->released++, 0);
    pthread_getname_np(pthread_self(), one->released_on, sizeof one->released_on);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    if (takes_outer()) {
        pthread_mutex_unlock(&outer);
    }
}

static void message(void *user_data, const gwa_event_t *event)
{
    (void)event;
    called(user_data);
}

static int32_t record(void *user_data, const gwa_audit_t *audit)
{
    (void)audit;
    called(user_data);
    return 0;
}

static void token(void *user_data, const gwa_token_t *of)
{
    (void)of;
    called(user_data);
}

static void ask(void *user_data, gwa_request_t *request)
{
    called(user_data);
    /* In "inside" on_ask is being taken away: an answer to what was asked still counts. */
    CHECK_STATUS(gwa_request_complete(request, NULL, 0, 0), GWA_OK);
}

static void sent(void *user_data, uint64_t id, gwa_status_t outcome)
{
    (void)id;
    (void)outcome;
    called(user_data);
}

static void line(void *user_data, int32_t level, const char *target, const char *text)
{
    (void)level;
    (void)target;
    (void)text;
    called(user_data);
}

static void worker(void *user_data, int32_t moment, int32_t kind, const char *name)
{
    (void)moment;
    (void)kind;
    (void)name;
    called(user_data);
}

static void register_all(gwa_config_t *config)
{
    int i;
    memset(ones, 0, sizeof ones);
    for (i = 1; i <= ALL; i++) {
        ones[i].callback = i;
    }
    CHECK_STATUS(gwa_config_on_message(config, message, &ones[GWA_CALLBACK_MESSAGE], release), GWA_OK);
    CHECK_STATUS(gwa_config_on_audit(config, record, &ones[GWA_CALLBACK_AUDIT], release), GWA_OK);
    CHECK_STATUS(gwa_config_on_siem(config, record, &ones[GWA_CALLBACK_SIEM], release), GWA_OK);
    CHECK_STATUS(gwa_config_on_state(config, message, &ones[GWA_CALLBACK_STATE], release), GWA_OK);
    CHECK_STATUS(gwa_config_on_token(config, token, &ones[GWA_CALLBACK_TOKEN], release), GWA_OK);
    CHECK_STATUS(gwa_config_on_ask(config, ask, &ones[GWA_CALLBACK_ASK], release), GWA_OK);
    CHECK_STATUS(gwa_config_on_sent(config, sent, &ones[GWA_CALLBACK_SENT], release), GWA_OK);
    CHECK_STATUS(gwa_config_on_log(config, line, &ones[GWA_CALLBACK_LOG], release), GWA_OK);
    CHECK_STATUS(gwa_config_on_thread(config, worker, &ones[GWA_CALLBACK_THREAD], release), GWA_OK);
}

/* delivery = poll: takes events until the client is closed or freed. */
static void *poll_on(void *unused)
{
    gwa_event_t *event = NULL;
    gwa_status_t status;
    (void)unused;
    do {
        status = gwa_client_next_event(client, 100, &event);
        if (status == GWA_OK) {
            gwa_event_free(event);
        }
    } while (status == GWA_OK || status == GWA_E_TIMEOUT);
    CHECK(status == GWA_E_CLOSED || status == GWA_E_BAD_HANDLE);
    return NULL;
}

static pthread_t poller;

static void poll_begins(void)
{
    if (is_poll) {
        CHECK_EQ(pthread_create(&poller, NULL, poll_on, NULL), 0);
    }
}

static void poll_ends(void)
{
    if (is_poll) {
        CHECK_EQ(pthread_join(poller, NULL), 0);
    }
}

static gwa_client_t *make(gwa_config_t **kept)
{
    gwa_config_t *config = new_config();
    gwa_client_t *made = NULL;
    gwa_error_t *err = NULL;
    register_all(config);
    CHECK_OK(gwa_client_new(config, &made, &err));
    if (kept) {
        *kept = config;
    } else {
        gwa_config_free(config);
    }
    return made;
}

static void start(void)
{
    gwa_error_t *err = NULL;
    CHECK_OK(gwa_client_start(client, &err));
    poll_begins();
}

static void end(void)
{
    gwa_error_t *err = NULL;
    int i;
    CHECK_OK(gwa_client_shutdown(client, (uint32_t)(20000 * slowness()), NULL, &err));
    poll_ends();
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    for (i = 1; i <= ALL; i++) {
        CHECK_EQ(ones[i].released, 1);
    }
    CHECK_EQ(gwa_debug_live_objects(), 0);
}

/* From then on a call of it is a failure. */
static void gone(int callback)
{
    pthread_mutex_lock(&lock);
    ones[callback].gone = 1;
    pthread_mutex_unlock(&lock);
}

static void by_threads(void)
{
    static const int order[] = {GWA_CALLBACK_MESSAGE, GWA_CALLBACK_STATE, GWA_CALLBACK_TOKEN, GWA_CALLBACK_THREAD,
                                GWA_CALLBACK_AUDIT,   GWA_CALLBACK_SIEM,  GWA_CALLBACK_SENT,  GWA_CALLBACK_ASK};
    gwa_metrics_t before;
    size_t i;
    client = make(NULL);
    ones[GWA_CALLBACK_TOKEN].asks_back = 1;
    start();
    AWAIT(ones[GWA_CALLBACK_MESSAGE].calls > 3);
    (void)gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL);
    for (i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct one *one = &ones[order[i]];
        AWAIT(one->calls > 0);
        CHECK_STATUS(take(order[i], (uint32_t)(20000 * slowness())), GWA_OK);
        gone(order[i]);
        CHECK_EQ(one->released, 1);
        CHECK_STATUS(take(order[i], 0), GWA_OK);
        CHECK_STATUS(gwa_client_unregister_later(client, order[i]), GWA_OK);
    }
    CHECK(is_poll || strcmp(ones[GWA_CALLBACK_STATE].released_on, "gwa-dispatch") == 0);
    CHECK(!is_inline || strcmp(ones[GWA_CALLBACK_MESSAGE].released_on, "gwa-socket") == 0);
    CHECK_STATUS(take(0, 0), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(take(10, 0), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_client_unregister_later(client, -1), GWA_E_INVALID_ARGUMENT);
    /* The client goes on: messages are counted. */
    before = metrics_of(client);
    while (metrics_of(client).messages_received < before.messages_received + 5) {
        struct timespec tick = {0, 1000000};
        nanosleep(&tick, NULL);
    }
    end();
}

static void by_itself(void)
{
    static const int wanted[] = {GWA_CALLBACK_MESSAGE, GWA_CALLBACK_STATE, GWA_CALLBACK_TOKEN, GWA_CALLBACK_THREAD,
                                 GWA_CALLBACK_AUDIT,   GWA_CALLBACK_SIEM,  GWA_CALLBACK_SENT,  GWA_CALLBACK_ASK};
    size_t i;
    client = make(NULL);
    start();
    for (i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        AWAIT(ones[wanted[i]].released == 1);
        CHECK_STATUS(take(wanted[i], GWA_NO_LIMIT), GWA_OK);
        /* on_sent is taken away by on_message. The threads that began at once told it at once. */
        CHECK(wanted[i] == GWA_CALLBACK_SENT || ones[wanted[i]].calls >= 1);
        CHECK(wanted[i] == GWA_CALLBACK_THREAD || ones[wanted[i]].calls <= 1 + is_inline);
    }
    end();
}

static void under_a_mutex(void)
{
    int i;
    client = make(NULL);
    start();
    AWAIT(ones[GWA_CALLBACK_MESSAGE].calls > 3);
    pthread_mutex_lock(&outer);
    for (i = 1; i <= ALL; i++) {
        CHECK_STATUS(gwa_client_unregister_later(client, i), GWA_OK);
    }
    pthread_mutex_lock(&lock);
    for (i = 1; i <= ALL; i++) {
        CHECK_EQ(ones[i].released, 0);
    }
    pthread_mutex_unlock(&lock);
    pthread_mutex_unlock(&outer);
    for (i = 1; i <= ALL; i++) {
        AWAIT(ones[i].released == 1);
        CHECK(is_poll || strncmp(ones[i].released_on, "gwa-", 4) == 0);
    }
    end();
}

static void before_and_after(void)
{
    gwa_error_t *err = NULL;
    gwa_event_t *event = NULL;
    int i;
    /* before the start: in the call, or as soon as there is somebody */
    client = make(NULL);
    CHECK_STATUS(take(GWA_CALLBACK_MESSAGE, 0), GWA_OK);
    CHECK_EQ(ones[GWA_CALLBACK_MESSAGE].released, 1);
    CHECK_STATUS(gwa_client_unregister_later(client, GWA_CALLBACK_STATE), GWA_OK);
    CHECK_STATUS(gwa_client_unregister_later(client, GWA_CALLBACK_AUDIT), GWA_OK);
    CHECK_EQ(ones[GWA_CALLBACK_STATE].released + ones[GWA_CALLBACK_AUDIT].released, 0);
    CHECK_STATUS(take(GWA_CALLBACK_AUDIT, 0), GWA_OK);
    CHECK_EQ(ones[GWA_CALLBACK_AUDIT].released, 1);
    gone(GWA_CALLBACK_MESSAGE);
    gone(GWA_CALLBACK_STATE);
    gone(GWA_CALLBACK_AUDIT);
    start();
    AWAIT(ones[GWA_CALLBACK_STATE].released == 1);
    CHECK(is_poll || strcmp(ones[GWA_CALLBACK_STATE].released_on, "gwa-dispatch") == 0);
    /* after the shutdown nothing is left to take, but what is polled */
    CHECK_OK(gwa_client_shutdown(client, (uint32_t)(20000 * slowness()), NULL, &err));
    poll_ends();
    if (is_poll) {
        CHECK_EQ(ones[GWA_CALLBACK_SIEM].released, 0);
        CHECK_STATUS(gwa_client_unregister_later(client, GWA_CALLBACK_SIEM), GWA_OK);
        CHECK_EQ(ones[GWA_CALLBACK_SIEM].released, 0);
        CHECK_STATUS(gwa_client_next_event(client, 0, &event), GWA_E_CLOSED);
        CHECK_EQ(ones[GWA_CALLBACK_SIEM].released, 1);
    }
    for (i = 1; i <= ALL; i++) {
        CHECK_STATUS(take(i, 0), GWA_OK);
        CHECK_EQ(ones[i].released, 1);
    }
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    /* a client that was never started, and what was to go later: with its end */
    client = make(NULL);
    CHECK_STATUS(gwa_client_unregister_later(client, GWA_CALLBACK_MESSAGE), GWA_OK);
    CHECK_EQ(ones[GWA_CALLBACK_MESSAGE].released, 0);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    for (i = 1; i <= ALL; i++) {
        CHECK_EQ(ones[i].released, 1);
    }
    CHECK_EQ(gwa_debug_live_objects(), 0);
}

static void *take_all(void *how)
{
    int i;
    for (i = 1; i <= ALL; i++) {
        gwa_status_t status = how ? gwa_client_unregister_later(client, i) : take(i, (uint32_t)(20000 * slowness()));
        CHECK(status == GWA_OK || status == GWA_E_BAD_HANDLE);
    }
    return NULL;
}

static void in_a_race(void)
{
    long rounds = number_or("GWA_TEST_COUNT", 20), round;
    for (round = 0; round < rounds; round++) {
        pthread_t threads[3];
        int i;
        pthread_mutex_lock(&lock);
        freed = 0;
        pthread_mutex_unlock(&lock);
        client = make(NULL);
        start();
        AWAIT(ones[GWA_CALLBACK_MESSAGE].calls > round % 3);
        for (i = 0; i < 3; i++) {
            CHECK_EQ(pthread_create(&threads[i], NULL, take_all, i == 2 ? &ones : NULL), 0);
        }
        CHECK_STATUS(gwa_client_free(client), GWA_OK);
        pthread_mutex_lock(&lock);
        freed = !is_poll; /* the poller may be about to call */
        pthread_mutex_unlock(&lock);
        for (i = 0; i < 3; i++) {
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        }
        poll_ends();
        /* A call that was in one of them when the client was freed may have been the last to hold it. */
        for (i = 1; i <= ALL; i++) {
            AWAIT(ones[i].released == 1);
        }
    }
    CHECK_EQ(gwa_debug_live_objects(), 0);
}

static void of_several(void)
{
    gwa_config_t *config = NULL;
    gwa_client_t *other = NULL;
    gwa_error_t *err = NULL;
    client = make(&config);
    CHECK_OK(gwa_client_new(config, &other, &err));
    start();
    AWAIT(ones[GWA_CALLBACK_MESSAGE].calls > 0);
    CHECK_STATUS(take(GWA_CALLBACK_MESSAGE, (uint32_t)(20000 * slowness())), GWA_OK);
    gone(GWA_CALLBACK_MESSAGE);
    CHECK_EQ(ones[GWA_CALLBACK_MESSAGE].released, 0);
    gwa_config_free(config);
    CHECK_EQ(ones[GWA_CALLBACK_MESSAGE].released, 0);
    CHECK_STATUS(gwa_client_unregister(other, GWA_CALLBACK_MESSAGE, 0), GWA_OK);
    CHECK_EQ(ones[GWA_CALLBACK_MESSAGE].released, 1);
    CHECK_STATUS(gwa_client_free(other), GWA_OK);
    end();
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 3);
    what = argv[1];
    is_poll = strcmp(argv[2], "poll") == 0;
    is_inline = strcmp(argv[2], "inline") == 0;
    if (!strcmp(what, "threads")) {
        by_threads();
    } else if (!strcmp(what, "inside")) {
        by_itself();
    } else if (!strcmp(what, "mutex")) {
        under_a_mutex();
    } else if (!strcmp(what, "before")) {
        before_and_after();
    } else if (!strcmp(what, "race")) {
        in_a_race();
    } else {
        CHECK(!strcmp(what, "shared"));
        of_several();
    }
    return 0;
}
