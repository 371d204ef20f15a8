/*
 * Destroy races. Threads call everything in a loop while the client is ended from two threads at once, by argument 1: free
 * or shutdown. Each call ends in a documented status, one of two frees wins, both come back in time, and after GWA_OK
 * nothing is called any more. Argument 2 is where the client is then: "now" (anywhere on its way), "harness" (where the
 * harness says), "resolver" (in getaddrinfo, which hangs: shim_net.c), "signal" (anywhere, and a signal interrupts the
 * thread that ends it all the time). Again and again: GWA_TEST_COUNT rounds.
 */
#include "system.h"

#define CALLERS 3

static gwa_client_t *client;
static struct probe *probe;
static int stopping;
static long long longest;
static pthread_barrier_t together;

static int is_documented(gwa_status_t status)
{
    static const gwa_status_t all[] = {GWA_OK,           GWA_DEFERRED,     GWA_E_BAD_HANDLE,  GWA_E_BAD_STATE, GWA_E_CANCELLED,
                                       GWA_E_TIMEOUT,    GWA_E_CLOSED,     GWA_E_INTERRUPTED, GWA_E_QUEUE_FULL};
    size_t i;
    for (i = 0; i < sizeof all / sizeof *all; i++) {
        if (status == all[i]) {
            return 1;
        }
    }
    fprintf(stderr, "%s\n", gwa_status_name(status));
    return 0;
}

static void call_everything(void)
{
    gwa_token_t *token = NULL;
    gwa_text_t *text = NULL;
    gwa_event_t *event = NULL;
    gwa_metrics_t metrics;
    gwa_shutdown_report_t report;
    gwa_status_t status;
    int32_t state;
    GWA_METRICS_INIT(&metrics);
    GWA_SHUTDOWN_REPORT_INIT(&report);
    CHECK(is_documented(gwa_client_start(client, NULL)));
    CHECK(is_documented(gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL)));
    CHECK(is_documented(gwa_client_refresh_now(client, NULL)));
    CHECK(is_documented(gwa_client_drain_notice(client, NULL)));
    CHECK(is_documented(gwa_client_set_secret(client, "client.secret", environment("GENESYS_CLIENT_SECRET"),
                                              strlen(environment("GENESYS_CLIENT_SECRET")), NULL)));
    CHECK(is_documented(gwa_client_state(client, &state)));
    CHECK(is_documented(gwa_client_metrics(client, &metrics)));
    CHECK(is_documented(gwa_client_interrupt(client)));
    CHECK(is_documented(gwa_client_unregister_later(client, GWA_CALLBACK_THREAD)));
    CHECK(is_documented(gwa_client_unregister(client, GWA_CALLBACK_THREAD, 0)));
    (void)gwa_client_event_fd(client);
    status = gwa_client_stats(client, GWA_STATS_JSON, &text);
    CHECK(is_documented(status) && (status == GWA_OK) == (text != NULL));
    gwa_text_free(text);
    text = NULL;
    status = gwa_client_config(client, &text);
    CHECK(is_documented(status) && (status == GWA_OK) == (text != NULL));
    gwa_text_free(text);
    status = gwa_client_token(client, 0, 20, &token, NULL);
    CHECK(is_documented(status) && (status == GWA_OK) == (token != NULL));
    gwa_token_free(token);
    status = gwa_client_next_event(client, 20, &event);
    CHECK(is_documented(status) && (status == GWA_OK) == (event != NULL));
    gwa_event_free(event);
    CHECK(is_documented(gwa_client_connect(client, 20, NULL)));
}

static void *calls(void *unused)
{
    pthread_barrier_wait(&together);
    while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        call_everything();
    }
    return unused;
}

static void on_signal(int number)
{
    (void)number;
}

/* Interrupted all the time, the thread that ends the client included. */
static void *storms(void *thread)
{
    const struct timespec moment = {0, 100000};
    while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        CHECK_EQ(pthread_kill(*(const pthread_t *)thread, SIGUSR1), 0);
        nanosleep(&moment, NULL);
    }
    return thread;
}

static void *frees(void *status)
{
    pthread_barrier_wait(&together);
    *(gwa_status_t *)status = gwa_client_free(client);
    return NULL;
}

static void *shuts_down(void *status)
{
    pthread_barrier_wait(&together);
    *(gwa_status_t *)status = gwa_client_shutdown(client, (uint32_t)(20000 * slowness()), NULL, NULL);
    return NULL;
}

/* Two threads end it at once. Of two frees one has the client; two shutdowns are both done. */
static void end_twice(const char *how)
{
    gwa_status_t one = GWA_OK, other = GWA_OK;
    long long began;
    pthread_t thread;
    int by_free = strcmp(how, "free") == 0;
    CHECK_EQ(pthread_create(&thread, NULL, by_free ? frees : shuts_down, &other), 0);
    pthread_barrier_wait(&together);
    began = now_ms();
    one = by_free ? gwa_client_free(client) : gwa_client_shutdown(client, (uint32_t)(20000 * slowness()), NULL, NULL);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    longest = now_ms() - began > longest ? now_ms() - began : longest;
    if (by_free) {
        CHECK((one == GWA_OK && other == GWA_E_BAD_HANDLE) || (one == GWA_E_BAD_HANDLE && other == GWA_OK));
        return;
    }
    CHECK_STATUS(one, GWA_OK);
    CHECK_STATUS(other, GWA_OK);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
}

static void one_round(const char *how, const char *where, long far)
{
    pthread_t callers[CALLERS], storm, self = pthread_self();
    int i, signals = strcmp(where, "signal") == 0;
    const struct timespec moment = {0, far * 300000};
    CHECK_EQ(pthread_barrier_init(&together, NULL, CALLERS + 2), 0);
    __atomic_store_n(&stopping, 0, __ATOMIC_RELEASE);
    probe->quiet = 1;
    client = started(probe);
    for (i = 0; i < CALLERS; i++) {
        CHECK_EQ(pthread_create(&callers[i], NULL, calls, NULL), 0);
    }
    if (signals) {
        CHECK_EQ(pthread_create(&storm, NULL, storms, &self), 0);
    }
    if (strcmp(where, "harness") == 0) {
        wait_for_harness();
    } else if (strcmp(where, "resolver") == 0) {
        call_shim("shim_net_wait_hung");
    } else {
        nanosleep(&moment, NULL); /* hides nothing: it varies where the race falls */
    }
    end_twice(how);
    /* From here on everything is refused. */
    call_everything();
    __atomic_store_n(&stopping, 1, __ATOMIC_RELEASE);
    for (i = 0; i < CALLERS; i++) {
        CHECK_EQ(pthread_join(callers[i], NULL), 0);
    }
    if (signals) {
        CHECK_EQ(pthread_join(storm, NULL), 0);
    }
    /* The last call of another thread may have held what is released. */
    WAIT(probe, 20000, probe->released == PROBE_CALLBACKS);
    check_clean(probe);
    pthread_barrier_destroy(&together);
}

int main(int argc, char **argv)
{
    static struct probe probes[256];
    const struct probe fresh = PROBE_INIT;
    struct sigaction action;
    long round, count = number_or("GWA_TEST_COUNT", 1);

    CHECK(argc == 3 && count <= 256);
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    for (round = 0; round < count; round++) {
        probe = &probes[round];
        *probe = fresh;
        one_round(argv[1], argv[2], round % 100);
    }
    CHECK_EQ(gwa_debug_live_objects(), 0);
    if (strcmp(argv[2], "resolver") == 0) {
        call_shim("shim_net_release");
    }
    no_library_thread_is_left();
    tell("rounds", count);
    tell("longest_end_ms", longest);
    return 0;
}
