/* The process ends while the client is live: argument 1 says how. atexit frees from a handler, live from a static one. */
#include "common.h"

static struct probe probe = PROBE_INIT;
static gwa_client_t *client;

static void at_the_end(void)
{
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    check_clean(&probe);
}

static void *exits(void *unused)
{
    exit(0);
    return unused;
}

int main(int argc, char **argv)
{
    CHECK_EQ(argc, 2);
    if (strcmp(argv[1], "atexit") == 0) {
        CHECK_EQ(atexit(at_the_end), 0);
    }
    client = connected(&probe);
    WAIT(&probe, 10000, probe.messages > 3);
    if (strcmp(argv[1], "exit") == 0) {
        exit(0);
    }
    if (strcmp(argv[1], "_exit") == 0) {
        fflush(NULL);
        _exit(0);
    }
    if (strcmp(argv[1], "thread") == 0) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, exits, NULL), 0);
        pthread_join(thread, NULL);
    }
    return 0;
}
