/*
 * Two things about signals. The threads of the library block all of them but the synchronous ones and SIGPROF, as
 * /proc says. And a storm of a signal whose handler restarts nothing, on every thread of the application, breaks no call:
 * connecting, sending, renewing, waiting for events and tokens, shutting down. Argument 1 is the delivery.
 */
#include "system.h"

#define SENDERS 2

static gwa_client_t *client;
/* Shared by threads and handlers: atomically. */
static int handled, stopping;

static void on_signal(int number)
{
    (void)number;
    __atomic_add_fetch(&handled, 1, __ATOMIC_RELAXED);
}

/* A bit for each signal that has to be left open; of them, the kernel does not let SIGKILL and SIGSTOP be blocked. */
static unsigned long long left_open(void)
{
    static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT, SIGPROF, SIGKILL, SIGSTOP};
    unsigned long long mask = 0;
    size_t i;
    for (i = 0; i < sizeof open / sizeof *open; i++) {
        mask |= 1ull << (open[i] - 1);
    }
    /* 32 and 33 belong to the C library, which keeps them open. */
    return mask | 1ull << 31 | 1ull << 32;
}

static int check_thread(const char *id)
{
    char path[300], line[200], name[64] = "";
    unsigned long long blocked = 0;
    FILE *file;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", id);
    file = fopen(path, "r");
    if (!file) {
        return 0; /* it has ended */
    }
    while (fgets(line, sizeof line, file)) {
        (void)sscanf(line, "Name: %63s", name);
        (void)sscanf(line, "SigBlk: %llx", &blocked);
    }
    fclose(file);
    if (strncmp(name, "gwa-", 4) != 0) {
        return 0;
    }
    if ((blocked | left_open()) != ~0ull || blocked & left_open() & ~(1ull << 31 | 1ull << 32)) {
        fprintf(stderr, "%s blocks %016llx\n", name, blocked);
        FAIL("the wrong signals are blocked");
    }
    return 1;
}

static int check_masks(void)
{
    DIR *tasks = opendir(THREADS);
    struct dirent *entry;
    int found = 0;
    CHECK(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        found += entry->d_name[0] != '.' && check_thread(entry->d_name);
    }
    closedir(tasks);
    return found;
}

static void *sends(void *unused)
{
    const struct timespec moment = {0, 2000000};
    while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        gwa_status_t status = gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL);
        CHECK(status == GWA_OK || status == GWA_E_QUEUE_FULL || status == GWA_E_CLOSED || status == GWA_E_BAD_STATE);
        nanosleep(&moment, NULL);
    }
    return unused;
}

static void *asks_for_tokens(void *unused)
{
    while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        gwa_token_t *token = NULL;
        gwa_status_t status = gwa_client_token(client, 0, GWA_NO_LIMIT, &token, NULL);
        CHECK(status == GWA_OK || status == GWA_E_CANCELLED || status == GWA_E_CLOSED || status == GWA_E_BAD_STATE);
        gwa_token_free(token);
    }
    return unused;
}

static void *storms(void *threads)
{
    const pthread_t *targets = (const pthread_t *)threads;
    const struct timespec moment = {0, 200000};
    while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        int i;
        for (i = 0; i < SENDERS + 2; i++) {
            CHECK_EQ(pthread_kill(targets[i], SIGUSR1), 0);
        }
        nanosleep(&moment, NULL);
    }
    return NULL;
}

static void wait_renewed(struct probe *probe, int polls, unsigned long tokens)
{
    while (polls && probe->tokens < tokens) {
        gwa_event_t *event = NULL;
        CHECK_STATUS(gwa_client_next_event(client, (uint32_t)(20000 * slowness()), &event), GWA_OK);
        gwa_event_free(event);
    }
    WAIT(probe, 30000, probe->tokens >= tokens);
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    pthread_t threads[SENDERS + 2], storm;
    struct sigaction action;
    gwa_error_t *err = NULL;
    int polls, i;

    CHECK_EQ(argc, 2);
    polls = strcmp(argv[1], "poll") == 0;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal; /* without SA_RESTART */
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    probe.quiet = 1;
    client = new_client(&probe);
    threads[0] = pthread_self();
    for (i = 1; i < SENDERS + 2; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, i <= SENDERS ? sends : asks_for_tokens, NULL), 0);
    }
    CHECK_EQ(pthread_create(&storm, NULL, storms, threads), 0);
    if (polls) {
        CHECK_OK(gwa_client_start(client, &err));
    } else {
        CHECK_OK(gwa_client_connect(client, GWA_NO_LIMIT, &err));
    }
    wait_renewed(&probe, polls, 3);
    CHECK_EQ(check_masks(), polls ? 2 : 3);
    CHECK_OK(gwa_client_shutdown(client, (uint32_t)(20000 * slowness()), NULL, &err));
    __atomic_store_n(&stopping, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_join(storm, NULL), 0);
    for (i = 1; i < SENDERS + 2; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    if (strcmp(argv[1], "inline") == 0) {
        probe.other_threads = 0; /* messages come on gwa-socket */
    }
    check_clean(&probe);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    CHECK(handled > 100);
    tell("signals", handled);
    tell("gaps", (long long)probe.gap_begins);
    return 0;
}
