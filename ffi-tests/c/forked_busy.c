/*
 * Forks at moments when a thread of the parent is inside the library, and what a child may do then. The argument says which:
 *
 *   making     threads of the parent make and free clients all the time; every child makes and frees one of its own
 *   asked      the child has a question that its parent polled: it cannot answer, and its descriptors are its own
 *   callbacks, inline, poll: a callback forks (of that delivery), the child frees the parent's client, opens descriptors
 *              whose numbers are the freed ones, and returns from the callback
 *   thread     as callbacks, in on_thread of the socket thread
 */
#define _GNU_SOURCE
#include "common.h"

#include <sys/stat.h>
#include <sys/wait.h>

#define CHILDREN (slowness() == 1 ? 40 : 8)
#define MAKERS 3
#define COPIES 40
#define ROOTS "/etc/ssl/certs/ca-certificates.crt"
/* Says that a callback was called in a child after the one that forked. */
#define CALLED_AGAIN 3

static gwa_client_t *client;
/* The application's: nothing but the application writes into it. */
static FILE *file;
static pid_t forker, child;

static int is_child(void)
{
    return forker != 0 && getpid() != forker;
}

static long long file_size(void)
{
    struct stat now;
    CHECK_EQ(fstat(fileno(file), &now), 0);
    return (long long)now.st_size;
}

/* A child that hangs is killed; on a thread of the library signals are blocked. */
static void limit_child(void)
{
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &alarms, NULL), 0);
    alarm((unsigned)(20 * slowness()));
}

/* The numbers of the parent's descriptors become numbers of the file. */
static void take_over(void)
{
    int copies;
    CHECK_STATUS(gwa_client_free(client), GWA_E_FORKED);
    for (copies = 0; copies < COPIES; copies++) {
        CHECK(dup(fileno(file)) >= 0);
    }
}

static void wait_for_child(void)
{
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "the child died of signal %d\n", WTERMSIG(status));
    }
    CHECK(WIFEXITED(status));
    /* Under valgrind and AddressSanitizer a child whose other threads are gone may be told to have leaks. */
    CHECK(slowness() > 1 ? WEXITSTATUS(status) != CALLED_AGAIN && WEXITSTATUS(status) != 1 : WEXITSTATUS(status) == 0);
    CHECK_EQ(file_size(), 0);
}

/* ---- making ---------------------------------------------------------------------------------------------- */

static volatile int over;

static gwa_config_t *costly_config(void)
{
    gwa_config_t *config = new_config();
    /* Takes a while to parse: under valgrind minutes. */
    if (slowness() <= 5 && access(ROOTS, R_OK) == 0) {
        set(config, "tls.extra_ca_file", ROOTS);
    }
    return config;
}

static void make_one(const gwa_config_t *config)
{
    gwa_client_t *made = NULL;
    gwa_error_t *err = NULL;
    CHECK_OK(gwa_client_new(config, &made, &err));
    CHECK_STATUS(gwa_client_free(made), GWA_OK);
}

static void *makes(void *unused)
{
    gwa_config_t *config = costly_config();
    (void)unused;
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        make_one(config);
    }
    gwa_config_free(config);
    return NULL;
}

static void making(void)
{
    pthread_t threads[MAKERS];
    int i;
    for (i = 0; i < MAKERS; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, makes, NULL), 0);
    }
    for (i = 0; i < CHILDREN; i++) {
        fflush(NULL);
        child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            gwa_config_t *config;
            limit_child();
            config = costly_config();
            make_one(config);
            make_one(config);
            gwa_config_free(config);
            _exit(0);
        }
        wait_for_child();
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    for (i = 0; i < MAKERS; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK_EQ(gwa_debug_live_objects(), 0);
}

/* ---- asked ----------------------------------------------------------------------------------------------- */

static gwa_event_t *next_question(void)
{
    for (;;) {
        gwa_event_t *event = NULL;
        CHECK_STATUS(gwa_client_next_event(client, (uint32_t)(20000 * slowness()), &event), GWA_OK);
        if (gwa_event_kind(event) == GWA_EVENT_REQUEST) {
            return event;
        }
        gwa_event_free(event);
    }
}

static void cannot_answer(gwa_event_t *event, gwa_request_t *of_the_parent)
{
    gwa_request_t *request = NULL;
    gwa_event_t *copy = NULL;
    CHECK_STATUS(gwa_event_clone(event, &copy), GWA_OK);
    take_over();
    CHECK_EQ(gwa_event_request_kind(event), GWA_REQUEST_TOKEN);
    CHECK_STATUS(gwa_event_request(event, &request), GWA_E_FORKED);
    CHECK_STATUS(gwa_event_request(copy, &request), GWA_E_FORKED);
    CHECK(request == NULL);
    CHECK_STATUS(gwa_request_complete(of_the_parent, "token", 5, 60000), GWA_E_FORKED);
    gwa_request_free(of_the_parent);
    gwa_event_free(copy);
    gwa_event_free(event);
    CHECK_EQ(file_size(), 0);
}

static void asked(void)
{
    gwa_config_t *config = new_config();
    gwa_request_t *request = NULL;
    gwa_error_t *err = NULL;
    gwa_event_t *event;
    set(config, "token.grant", "application");
    set(config, "delivery", "poll");
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    CHECK_OK(gwa_client_start(client, &err));
    event = next_question();
    CHECK_STATUS(gwa_event_request(event, &request), GWA_OK);
    fflush(NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        limit_child();
        cannot_answer(event, request);
        _exit(0);
    }
    wait_for_child();
    /* The parent can: it asks for no second token. */
    CHECK_STATUS(gwa_request_complete(request, "token", 5, 600000), GWA_OK);
    gwa_event_free(event);
    for (;;) {
        CHECK_STATUS(gwa_client_next_event(client, (uint32_t)(20000 * slowness()), &event), GWA_OK);
        if (gwa_event_kind(event) == GWA_EVENT_TOKEN) {
            break;
        }
        CHECK(gwa_event_kind(event) != GWA_EVENT_REQUEST);
        gwa_event_free(event);
    }
    gwa_event_free(event);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_EQ(gwa_debug_live_objects(), 0);
}

/* ---- a callback forks ------------------------------------------------------------------------------------ */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned long messages;

/* Slower than callbacks.slow_ms: who goes on as if nothing had happened reports it, which takes locks and rings. */
static void slowly(void)
{
    const struct timespec while_ = {0, 20 * 1000000};
    nanosleep(&while_, NULL);
}

static void fork_here(void)
{
    pid_t forked;
    if (is_child()) {
        _exit(CALLED_AGAIN);
    }
    if (forker != 0) {
        return;
    }
    forker = getpid();
    slowly();
    fflush(NULL);
    forked = fork();
    CHECK(forked >= 0);
    if (forked == 0) {
        limit_child();
        take_over();
        return;
    }
    __atomic_store_n(&child, forked, __ATOMIC_RELEASE);
}

static void state_forks(void *user_data, const gwa_event_t *change)
{
    (void)user_data;
    (void)change;
    fork_here();
}

static void message_forks(void *user_data, const gwa_event_t *message)
{
    (void)message;
    if (user_data) {
        fork_here();
    }
    if (is_child()) {
        return; /* another thread of the parent may have had the lock */
    }
    pthread_mutex_lock(&lock);
    messages++;
    pthread_mutex_unlock(&lock);
}

static void thread_forks(void *user_data, int32_t moment, int32_t thread, const char *name)
{
    (void)user_data;
    (void)name;
    if (moment == GWA_THREAD_STARTED && thread == GWA_THREAD_SOCKET) {
        fork_here();
    }
}

static void line_of_log(void *user_data, int32_t level, const char *target, const char *text)
{
    (void)user_data;
    (void)level;
    (void)target;
    (void)text;
    if (is_child()) {
        _exit(CALLED_AGAIN);
    }
}

static void not_in_a_child(void *user_data)
{
    (void)user_data;
    if (is_child()) {
        _exit(CALLED_AGAIN);
    }
}

static unsigned long messages_now(void)
{
    unsigned long now;
    pthread_mutex_lock(&lock);
    now = messages;
    pthread_mutex_unlock(&lock);
    return now;
}

/* Polls once. The child gets to the end of the call, too, and goes on from there with a client of its own. */
static void poll_once(void)
{
    gwa_event_t *event = NULL;
    gwa_status_t status = gwa_client_next_event(client, 100, &event);
    if (is_child()) {
        gwa_config_t *config;
        CHECK_STATUS(status, GWA_E_FORKED);
        CHECK(event == NULL);
        CHECK_STATUS(gwa_client_next_event(client, 0, &event), GWA_E_BAD_HANDLE);
        CHECK_EQ(file_size(), 0);
        config = new_config();
        make_one(config);
        gwa_config_free(config);
        _exit(0);
    }
    CHECK(status == GWA_OK || status == GWA_E_TIMEOUT);
    gwa_event_free(event);
}

static void fork_in_a_callback(const char *moment)
{
    const struct timespec pause = {0, 5 * 1000000};
    const long long until = now_ms() + 30000 * slowness();
    const int is_polled = strcmp(moment, "poll") == 0, is_inline = strcmp(moment, "inline") == 0;
    gwa_config_t *config = new_config();
    gwa_error_t *err = NULL;
    unsigned long before = 0;
    set(config, "delivery", is_polled || is_inline ? moment : "callbacks");
    set(config, "callbacks.slow_ms", "10");
    CHECK_STATUS(gwa_config_on_log(config, line_of_log, NULL, not_in_a_child), GWA_OK);
    CHECK_STATUS(gwa_config_on_message(config, message_forks, is_inline ? config : NULL, not_in_a_child), GWA_OK);
    if (strcmp(moment, "thread") == 0) {
        CHECK_STATUS(gwa_config_on_thread(config, thread_forks, NULL, not_in_a_child), GWA_OK);
    } else if (!is_inline) {
        CHECK_STATUS(gwa_config_on_state(config, state_forks, NULL, not_in_a_child), GWA_OK);
    }
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    CHECK_OK(gwa_client_start(client, &err));
    /* The parent notices nothing: messages come before and after. */
    while (!__atomic_load_n(&child, __ATOMIC_ACQUIRE) || before == 0 || messages_now() < before + 3) {
        CHECK(now_ms() < until);
        if (is_polled) {
            poll_once();
        } else {
            nanosleep(&pause, NULL);
        }
        if (before == 0 && __atomic_load_n(&child, __ATOMIC_ACQUIRE)) {
            wait_for_child();
            before = messages_now() + 1;
        }
    }
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_EQ(gwa_debug_live_objects(), 0);
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 2);
    file = tmpfile();
    CHECK(file != NULL);
    if (strcmp(argv[1], "making") == 0) {
        making();
    } else if (strcmp(argv[1], "asked") == 0) {
        asked();
    } else {
        fork_in_a_callback(argv[1]);
    }
    return 0;
}
