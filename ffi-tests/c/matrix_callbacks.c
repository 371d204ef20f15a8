/*
 * Functions × callbacks: every function is called from inside every callback of a live client, and from a release
 * function. Argument 1 is the delivery. Those that end the client have one of their own for each callback: after
 * that nothing is called any more, and everything is released once.
 */
#include "matrix.h"

enum column { MESSAGE, AUDIT, SIEM, STATE, TOKEN, ASK, SENT, LOG, THREAD, RELEASE, COLUMNS };

static const char *const columns[COLUMNS] = {"message", "audit", "siem", "state",  "token",
                                             "ask",     "sent",  "log",  "thread", "release"};
/* Registrations of a client: all columns but the last. */
#define REGISTERED RELEASE

/* Not held while the library is called: `inside` keeps the other callbacks out. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int polls, inside, visited[COLUMNS], released, dead;
/* NULL: all functions that do not end the client, in every column; else this one, in the column `where`. */
static const struct function *ending;
static enum column where;

static int is_live(void)
{
    int32_t state = GWA_STATE_IDLE;
    CHECK_STATUS(gwa_client_state(client, &state), GWA_OK);
    return state == GWA_STATE_READY || state == GWA_STATE_RENEWING || state == GWA_STATE_DEGRADED;
}

static void visit(enum column column)
{
    size_t i;
    pthread_mutex_lock(&lock);
    if (dead) {
        FAIL("a callback after the end");
    }
    if (inside || visited[column] || (ending && column != where) || (column != THREAD && !is_live())) {
        pthread_mutex_unlock(&lock);
        return;
    }
    inside = 1;
    pthread_mutex_unlock(&lock);
    for (i = 0; i < COUNT_OF(functions); i++) {
        if (ending ? &functions[i] == ending : !functions[i].ends) {
            cell("callbacks", columns[column], &functions[i], -1, NULL);
        }
    }
    pthread_mutex_lock(&lock);
    inside = 0;
    visited[column] = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* What is lent is left alone by the free functions. */
static void visit_event(enum column column, const gwa_event_t *lent)
{
    int kind = gwa_event_kind(lent);
    visit(column);
    gwa_event_free((gwa_event_t *)(uintptr_t)lent);
    CHECK_EQ(gwa_event_kind(lent), kind);
}

static void in_message(void *user_data, const gwa_event_t *lent)
{
    (void)user_data;
    visit_event(MESSAGE, lent);
}

static void in_state(void *user_data, const gwa_event_t *lent)
{
    (void)user_data;
    visit_event(STATE, lent);
}

static int32_t in_record(void *user_data, const gwa_audit_t *lent)
{
    unsigned long long seq = gwa_audit_seq(lent);
    (void)user_data;
    visit(gwa_audit_is_siem(lent) ? SIEM : AUDIT);
    gwa_audit_free((gwa_audit_t *)(uintptr_t)lent);
    CHECK_EQ(gwa_audit_seq(lent), seq);
    return 0;
}

static void in_token(void *user_data, const gwa_token_t *lent)
{
    (void)user_data;
    visit(TOKEN);
    gwa_token_free((gwa_token_t *)(uintptr_t)lent);
    CHECK(gwa_token_expires_in_ms(lent) > 0);
}

static void in_ask(void *user_data, gwa_request_t *request)
{
    gwa_status_t answered;
    (void)user_data;
    visit(ASK);
    answered = gwa_request_complete(request, NULL, 0, 0);
    CHECK_STATUS(answered, GWA_OK);
}

static void in_sent(void *user_data, uint64_t which, gwa_status_t how)
{
    (void)user_data, (void)which, (void)how;
    visit(SENT);
}

static void in_log(void *user_data, int32_t level, const char *target, const char *words)
{
    (void)user_data, (void)level;
    visit(LOG);
    CHECK(*target && *words);
}

/* Threads begin before the client is live. */
static void in_thread(void *user_data, int32_t moment, int32_t thread, const char *name)
{
    (void)user_data;
    CHECK(thread >= GWA_THREAD_REFRESH && thread <= GWA_THREAD_DISPATCH && *name);
    if (moment == GWA_THREAD_STARTED) {
        visit(THREAD);
    }
}

static void in_release(void *user_data)
{
    (void)user_data;
    pthread_mutex_lock(&lock);
    released++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void new_live_client(const char *delivery)
{
    gwa_config_t *own = silent_config(delivery);
    gwa_error_t *why = NULL;
    released = 0, dead = 0;
    CHECK_STATUS(gwa_config_on_message(own, in_message, NULL, in_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_audit(own, in_record, NULL, in_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_siem(own, in_record, NULL, in_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_state(own, in_state, NULL, in_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_token(own, in_token, NULL, in_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_ask(own, in_ask, NULL, in_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_sent(own, in_sent, NULL, in_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_log(own, in_log, NULL, in_release), GWA_OK);
    CHECK_STATUS(gwa_config_on_thread(own, in_thread, NULL, in_release), GWA_OK);
    check_ok(__FILE__, __LINE__, "gwa_client_new", gwa_client_new(own, &client, &why), &why);
    gwa_config_free(own);
    check_ok(__FILE__, __LINE__, "gwa_client_start", gwa_client_start(client, &why), &why);
}

static int all_visited(void)
{
    int column;
    for (column = MESSAGE; column < RELEASE; column++) {
        if (!visited[column] && (!ending || column == (int)where)) {
            return 0;
        }
    }
    return 1;
}

/* Lets time pass in which callbacks come: on this thread, or on those of the library. */
static void pause_or_poll(void)
{
    const struct timespec moment = {0, 20000000};
    gwa_event_t *event = NULL;
    if (!polls) {
        nanosleep(&moment, NULL); /* the pace of the messages; nothing depends on it */
        return;
    }
    (void)gwa_client_next_event(client, 20, &event);
    gwa_event_free(event);
}

/* Until every callback was seen: messages are sent all the time, and tokens live for seconds. */
static void drive(void)
{
    long long until = now_ms() + 60000 * slowness();
    int done = 0;
    while (!done) {
        CHECK(now_ms() < until);
        pause_or_poll();
        pthread_mutex_lock(&lock);
        done = all_visited();
        pthread_mutex_unlock(&lock);
        if (!done) {
            (void)gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL);
        }
    }
}

static void visit_release(void *user_data)
{
    (void)user_data;
    visit(RELEASE);
}

/* A release function is called while the client is live: its registration is replaced in a configuration. */
static void drive_release(void)
{
    long long until = now_ms() + 60000 * slowness();
    while (!visited[RELEASE]) {
        gwa_config_t *own = NULL;
        CHECK(now_ms() < until);
        pause_or_poll();
        CHECK_STATUS(gwa_config_new(&own), GWA_OK);
        CHECK_STATUS(gwa_config_on_message(own, no_message, NULL, visit_release), GWA_OK);
        CHECK_STATUS(gwa_config_on_message(own, NULL, NULL, NULL), GWA_OK);
        gwa_config_free(own);
    }
}

static void wait_released(void)
{
    struct timespec until = probe_deadline(30000);
    pthread_mutex_lock(&lock);
    while (released < REGISTERED) {
        if (pthread_cond_timedwait(&changed, &lock, &until) == ETIMEDOUT) {
            FAIL("not everything was released");
        }
    }
    CHECK_EQ(released, REGISTERED);
    dead = 1;
    pthread_mutex_unlock(&lock);
}

/* The client ends inside a callback; a shutdown leaves the handle, which is freed outside. */
static void ends_in_callback(const char *delivery, const struct function *function, enum column column)
{
    gwa_status_t freed;
    memset(visited, 0, sizeof visited);
    ending = function;
    where = column;
    new_live_client(delivery);
    if (column == RELEASE) {
        drive_release();
    } else {
        drive();
    }
    freed = gwa_client_free(client);
    CHECK_STATUS(freed, strcmp(function->name, "gwa_client_free") == 0 ? GWA_E_BAD_HANDLE : GWA_OK);
    wait_released();
}

int main(int argc, char **argv)
{
    gwa_error_t *why = NULL;
    size_t i;
    int column;

    CHECK(argc == 2);
    polls = strcmp(argv[1], "poll") == 0;
    take_samples();

    new_live_client(argv[1]);
    drive();
    drive_release();
    check_ok(__FILE__, __LINE__, "gwa_client_shutdown",
             gwa_client_shutdown(client, (uint32_t)(20000 * slowness()), NULL, &why), &why);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    wait_released();

    for (i = 0; i < COUNT_OF(functions); i++) {
        for (column = 0; column < COLUMNS && functions[i].ends; column++) {
            ends_in_callback(argv[1], &functions[i], (enum column)column);
        }
    }
    free_samples();
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
