/*
 * on_thread in the delivery that argument 1 names: first and last of all that runs on each thread, with its name, its
 * signals blocked, its stack as configured (GWA_TEST_STACK), and free to be bound to a processor. Argument 2: how the
 * client ends (shutdown, free in a callback, or a connect that fails first).
 */
#define _GNU_SOURCE
#include "common.h"

#include <sched.h>

#define KINDS 4

static const char *const names[KINDS] = {"", "gwa-refresh", "gwa-socket", "gwa-dispatch"};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int began[KINDS], ended[KINDS], released, thread_released, wants_free;
static pthread_t threads[KINDS];
static gwa_client_t *client;
static size_t wanted_stack;

/* What this thread has been told: 0 nothing, 1 that it begins, 2 that it ends. */
static __thread int told;
static __thread int bound_to;

static void check_signals(void)
{
    static const int blocked[] = {SIGTERM, SIGINT, SIGALRM, SIGPIPE, SIGCHLD, SIGUSR1};
    static const int left_alone[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS, SIGPROF};
    sigset_t set;
    size_t i;
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    for (i = 0; i < sizeof blocked / sizeof blocked[0]; i++) {
        CHECK_EQ(sigismember(&set, blocked[i]), 1);
    }
    for (i = 0; i < sizeof left_alone / sizeof left_alone[0]; i++) {
        CHECK_EQ(sigismember(&set, left_alone[i]), 0);
    }
}

static void check_stack(void)
{
    pthread_attr_t attributes;
    char *here = (char *)__builtin_frame_address(0); /* AddressSanitizer may keep locals elsewhere */
    void *low = NULL;
    size_t size = 0;
    CHECK_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
    CHECK_EQ(pthread_attr_getstack(&attributes, &low, &size), 0);
    pthread_attr_destroy(&attributes);
    /* The system rounds up to pages, and its own part may be on top. */
    CHECK(size >= wanted_stack && size < wanted_stack + (128u << 10));
    CHECK(here >= (char *)low && here < (char *)low + size);
}

/* Binds the thread to the processor it is on. */
static void bind_thread(void)
{
    cpu_set_t set;
    bound_to = sched_getcpu();
    CHECK(bound_to >= 0);
    CPU_ZERO(&set);
    CPU_SET(bound_to, &set);
    CHECK_EQ(pthread_setaffinity_np(pthread_self(), sizeof set, &set), 0);
}

static void on_thread(void *user_data, int32_t moment, int32_t thread, const char *name)
{
    char known[16] = "";
    int32_t state;
    CHECK(user_data == &client);
    CHECK(thread > 0 && thread < KINDS && strcmp(name, names[thread]) == 0);
    CHECK_EQ(pthread_getname_np(pthread_self(), known, sizeof known), 0);
    CHECK(strcmp(known, name) == 0);
    /* What would wait for this thread is refused or deferred, all else works. */
    if (gwa_client_state(client, &state) == GWA_OK) {
        CHECK_STATUS(gwa_client_connect(client, 1000, NULL), GWA_E_REENTRANT);
        CHECK(metrics_of(client).struct_size > 0);
    }
    pthread_mutex_lock(&lock);
    CHECK_EQ(thread_released, 0);
    if (moment == GWA_THREAD_STARTED) {
        CHECK_EQ(told++, 0);
        check_signals();
        if (wanted_stack) {
            check_stack();
        }
        bind_thread();
        threads[thread] = pthread_self();
        began[thread]++;
    } else {
        CHECK_EQ(moment, GWA_THREAD_ENDING);
        CHECK_EQ(told++, 1);
        CHECK(pthread_equal(threads[thread], pthread_self()));
        CHECK_EQ(sched_getcpu(), bound_to);
        ended[thread]++;
    }
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void release_thread(void *user_data)
{
    (void)user_data;
    pthread_mutex_lock(&lock);
    thread_released++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void release(void *user_data)
{
    char name[16] = "";
    (void)user_data;
    CHECK_EQ(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    /* On a thread of the library it comes before its end is told. */
    CHECK(strncmp(name, "gwa-", 4) != 0 || told == 1);
    pthread_mutex_lock(&lock);
    released++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void message(void *user_data, const gwa_event_t *event)
{
    char name[16] = "";
    (void)user_data;
    (void)event;
    CHECK_EQ(pthread_getname_np(pthread_self(), name, sizeof name), 0);
    CHECK(strncmp(name, "gwa-", 4) != 0 || told == 1);
    if (wants_free) {
        wants_free = 0;
        CHECK_STATUS(gwa_client_free(client), GWA_DEFERRED);
    }
}

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

int main(int argc, char **argv)
{
    gwa_config_t *config = new_config();
    gwa_error_t *err = NULL;
    gwa_event_t *event = NULL;
    gwa_status_t status;
    int is_poll, fails, frees, kind, starts = 1;

    CHECK_EQ(argc, 3);
    is_poll = strcmp(argv[1], "poll") == 0;
    fails = strcmp(argv[2], "fails") == 0;
    frees = strcmp(argv[2], "free") == 0;
    wanted_stack = (size_t)number_or("GWA_TEST_STACK", 0);
    CHECK_STATUS(gwa_config_on_thread(config, on_thread, &client, release_thread), GWA_OK);
    CHECK_STATUS(gwa_config_on_message(config, message, NULL, release), GWA_OK);
    CHECK_STATUS(gwa_config_on_state(config, message, NULL, release), GWA_OK);
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    if (fails) {
        /* The harness lets the first round fail: its threads come and go. */
        CHECK(gwa_client_connect(client, (uint32_t)(30000 * slowness()), NULL) != GWA_OK);
        for (kind = 1; kind < KINDS; kind++) {
            CHECK_EQ(began[kind], is_poll && kind == GWA_THREAD_DISPATCH ? 0 : 1);
            CHECK_EQ(ended[kind], began[kind]);
        }
        starts++;
    }
    wants_free = frees;
    CHECK_OK(gwa_client_start(client, &err));
    if (frees) {
        AWAIT(thread_released == 1 && released == 2);
    } else {
        /* Until a message is here: that is behind TLS, upgrade and authentication. */
        while (metrics_of(client).messages_received < 3) {
            struct timespec tick = {0, 5000000};
            if (is_poll && gwa_client_next_event(client, 1, &event) == GWA_OK) {
                gwa_event_free(event);
            } else {
                nanosleep(&tick, NULL);
            }
        }
        CHECK_OK(gwa_client_shutdown(client, (uint32_t)(20000 * slowness()), NULL, &err));
    }
    for (kind = 1; kind < KINDS; kind++) {
        CHECK_EQ(began[kind], is_poll && kind == GWA_THREAD_DISPATCH ? 0 : starts);
        CHECK_EQ(ended[kind], began[kind]);
    }
    status = gwa_client_free(client);
    CHECK_STATUS(status, frees ? GWA_E_BAD_HANDLE : GWA_OK);
    CHECK(thread_released == 1 && released == 2);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
