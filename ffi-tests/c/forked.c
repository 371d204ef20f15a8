/*
 * Forks of a program with a client. In a child every call gives GWA_E_FORKED, gwa_client_free() closes the child's copies of
 * all its descriptors, and whichever way the child ends, the client of the parent notices nothing. After exec none of them is
 * open. The argument says at which moment: idle (not started), dialling (no answer ever), live, shared (live, its tokens from a
 * source), or renewing, where threads of the program call the library all the time and there is one child after the other.
 */
#include "common.h"

#include <dirent.h>
#include <sys/wait.h>

#define MOST 256
#define CHILDREN 40

static unsigned char open_before[MOST];

/* Descriptors below MOST (valgrind has its own far above) that were not open before; the list's own is one of those. */
static int new_descriptors(int say)
{
    DIR *list = opendir("/proc/self/fd");
    struct dirent *entry;
    int count = 0;
    CHECK(list != NULL);
    while ((entry = readdir(list)) != NULL) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd < MOST && !open_before[fd] && fd != dirfd(list)) {
            char path[64], target[128] = "";
            snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            count++;
            if (say && readlink(path, target, sizeof target - 1) > 0) {
                fprintf(stderr, "%d is open: %s\n", fd, target);
            }
        }
    }
    closedir(list);
    return count;
}

static void note_descriptors(void)
{
    int fd;
    for (fd = 0; fd < MOST; fd++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        open_before[fd] = access(path, F_OK) == 0;
    }
}

/* What a child does with its parent's client. `left` takes how many of the descriptors stayed open. */
static void inert(gwa_client_t *client, int *left)
{
    gwa_config_t *config = NULL;
    gwa_client_t *own = NULL;
    int32_t state;
    CHECK(new_descriptors(0) > 0);
    CHECK_STATUS(gwa_client_state(client, &state), GWA_E_FORKED);
    CHECK_STATUS(gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL), GWA_E_FORKED);
    CHECK_STATUS(gwa_client_interrupt(client), GWA_E_FORKED);
    CHECK_EQ(gwa_client_event_fd(client), -1);
    CHECK_STATUS(gwa_client_shutdown(client, 1000, NULL, NULL), GWA_E_FORKED);
    CHECK_STATUS(gwa_client_free(client), GWA_E_FORKED);
    *left = new_descriptors(1);
    CHECK_STATUS(gwa_client_free(client), GWA_E_BAD_HANDLE); /* it is dead here */
    CHECK_STATUS(gwa_client_state(client, &state), GWA_E_BAD_HANDLE);
    config = new_config(); /* for use in the child */
    CHECK_STATUS(gwa_client_new(config, &own, NULL), GWA_OK);
    CHECK_STATUS(gwa_client_free(own), GWA_OK);
    gwa_config_free(config);
}

/* Forks; how many descriptors stayed open in the child. It ends by exit(), with all that it runs, or by _exit(). */
static int fork_once(gwa_client_t *client, int by_exit)
{
    int status = 0, verdict[2], left = -1;
    pid_t child;
    CHECK_EQ(pipe(verdict), 0);
    open_before[verdict[0]] = open_before[verdict[1]] = 1;
    fflush(NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int count = 0;
        alarm((unsigned)(20 * slowness()));
        inert(client, &count);
        CHECK_EQ(write(verdict[1], &count, sizeof count), sizeof count);
        if (by_exit) {
            exit(0);
        }
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    /* By a pipe: under valgrind the status of a child whose other threads are gone tells of leaks. */
    CHECK(WIFEXITED(status));
    CHECK_EQ(read(verdict[0], &left, sizeof left), sizeof left);
    close(verdict[0]);
    close(verdict[1]);
    open_before[verdict[0]] = open_before[verdict[1]] = 0;
    return left;
}

/* After exec nothing of the library is open; what was open before the client may be. */
static void exec_once(const char *program)
{
    char before[MOST + 1] = "";
    int status = 0, fd;
    pid_t child;
    for (fd = 0; fd < MOST; fd++) {
        before[fd] = open_before[fd] ? '1' : '0';
    }
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        execl(program, program, "after exec", before, (char *)NULL);
        _exit(127);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static volatile int over;

/* Holds the library's locks as often as it can. */
static void *busy(void *argument)
{
    gwa_client_t *client = (gwa_client_t *)argument;
    while (!__atomic_load_n(&over, __ATOMIC_RELAXED)) {
        gwa_text_t *text = NULL;
        gwa_token_t *token = NULL;
        gwa_config_t *config = NULL;
        int32_t state;
        CHECK_STATUS(gwa_client_stats(client, GWA_STATS_JSON, &text), GWA_OK);
        gwa_text_free(text);
        CHECK_STATUS(gwa_client_state(client, &state), GWA_OK);
        gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL);
        if (gwa_client_token(client, 0, 1, &token, NULL) == GWA_OK) {
            gwa_token_free(token);
        }
        CHECK_STATUS(gwa_config_new(&config), GWA_OK);
        gwa_config_free(config);
    }
    return NULL;
}

static void renewing(gwa_client_t *client, struct probe *probe)
{
    pthread_t threads[3];
    unsigned long tokens;
    int i, children, renewed = 0, left = 0;
    pthread_mutex_lock(&probe->lock);
    tokens = probe->tokens;
    pthread_mutex_unlock(&probe->lock);
    for (i = 0; i < 3; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, busy, client), 0);
    }
    for (children = 0; children < CHILDREN || !renewed; children++) {
        int now = fork_once(client, children % 2);
        /* What a thread was opening or closing at that moment: three of ours call gwa_client_token(), two are the client's. */
        CHECK(now <= 5);
        left += now;
        pthread_mutex_lock(&probe->lock);
        renewed = probe->tokens >= tokens + 2;
        pthread_mutex_unlock(&probe->lock);
    }
    __atomic_store_n(&over, 1, __ATOMIC_RELAXED);
    for (i = 0; i < 3; i++) {
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    }
    tell("children", children);
    tell("descriptors_left", left);
}

/* The source's handle is gone at once: a child has the client alone, which closes the descriptors of both. */
static gwa_client_t *client_of_a_source(struct probe *probe)
{
    gwa_config_t *plain = new_config(), *config = new_config();
    gwa_token_source_t *source = NULL;
    gwa_client_t *client = NULL;
    watch(config, probe);
    CHECK_STATUS(gwa_token_source_new(plain, &source, NULL), GWA_OK);
    CHECK_STATUS(gwa_client_new_with_source(config, source, &client, NULL), GWA_OK);
    CHECK_STATUS(gwa_token_source_free(source), GWA_OK);
    gwa_config_free(plain);
    gwa_config_free(config);
    return client;
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    const char *moment = argc > 1 ? argv[1] : "live";
    gwa_client_t *client;
    unsigned long before;
    int most_left;

    if (strcmp(moment, "after exec") == 0) {
        int fd;
        CHECK(argc == 3 && strlen(argv[2]) == MOST);
        for (fd = 0; fd < MOST; fd++) {
            open_before[fd] = argv[2][fd] == '1';
        }
        return new_descriptors(1);
    }
    note_descriptors();
    probe.quiet = 1;
    client = strcmp(moment, "shared") == 0 ? client_of_a_source(&probe) : new_client(&probe);
    if (strcmp(moment, "idle") != 0) {
        CHECK_STATUS(gwa_client_start(client, NULL), GWA_OK);
    }
    if (strcmp(moment, "idle") == 0 || strcmp(moment, "dialling") == 0) {
        if (*moment == 'd') {
            wait_for_harness();
        }
        /* A thread that dials may be opening a descriptor at that moment: one for the token, one for the socket. */
        most_left = *moment == 'd' ? 2 : 0;
        CHECK(fork_once(client, 0) <= most_left);
        CHECK(fork_once(client, 1) <= most_left);
        exec_once(argv[0]);
        CHECK_STATUS(gwa_client_free(client), GWA_OK);
        CHECK_EQ(new_descriptors(1), 0);
        CHECK_EQ(gwa_debug_live_objects(), 0);
        return 0;
    }
    WAIT(&probe, 20000, probe.messages > 0);
    if (strcmp(moment, "renewing") == 0) {
        renewing(client, &probe);
    } else {
        CHECK_EQ(fork_once(client, 0), 0);
        CHECK_EQ(fork_once(client, 1), 0);
    }
    exec_once(argv[0]);
    pthread_mutex_lock(&probe.lock);
    before = probe.messages;
    pthread_mutex_unlock(&probe.lock);
    WAIT(&probe, 10000, probe.messages > before + 3);
    CHECK_EQ(probe.gap_begins, 0);
    finish(client, &probe);
    CHECK_EQ(new_descriptors(1), 0);
    return 0;
}
