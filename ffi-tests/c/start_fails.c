/*
 * A start that the system refuses a thread, when another one has begun and is inside on_thread. Argument 1: gwa_client_free()
 * does not pretend that nothing runs; gwa_client_shutdown() waits for it. The harness asks for stacks of 1 GiB, and here
 * is address space for as many of them as argument 2 says: the last one is that of the thread in on_thread.
 */
#include "system.h"

#include <sys/resource.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int began, ended, may_go, released, stacks;

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

static void raise_to(int *place)
{
    pthread_mutex_lock(&lock);
    ++*place;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void on_thread(void *user_data, int32_t moment, int32_t thread, const char *name)
{
    (void)user_data;
    (void)name;
    CHECK(thread == GWA_THREAD_REFRESH || (stacks == 2 && thread == GWA_THREAD_DISPATCH));
    CHECK_EQ(released, 0);
    raise_to(moment == GWA_THREAD_STARTED ? &began : &ended);
    if (moment == GWA_THREAD_STARTED && (stacks == 1 || thread == GWA_THREAD_DISPATCH)) {
        AWAIT(may_go);
    }
}

static void release(void *user_data)
{
    (void)user_data;
    raise_to(&released);
}

static void limit_address_space(void)
{
    struct rlimit limit;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    CHECK_EQ(getrlimit(RLIMIT_AS, &limit), 0);
    limit.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)(2 * stacks + 1) << 29);
    CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
}

int main(int argc, char **argv)
{
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;

    CHECK_EQ(argc, 3);
    stacks = atoi(argv[2]);
    CHECK_STATUS(gwa_config_on_thread(config, on_thread, NULL, release), GWA_OK);
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    limit_address_space();
    CHECK_STATUS(gwa_client_start(client, &err), GWA_E_INTERNAL);
    CHECK_CONTAINS(gwa_error_message(err, NULL), "cannot start a thread");
    gwa_error_free(err);
    err = NULL;
    CHECK_EQ(released, 0);
    if (strcmp(argv[1], "free") == 0) {
        CHECK_STATUS(gwa_client_free(client), GWA_DEFERRED);
        CHECK_EQ(released, 0);
        raise_to(&may_go);
        AWAIT(released == 1);
    } else {
        CHECK_STATUS(gwa_client_start(client, NULL), GWA_E_BAD_STATE);
        CHECK_STATUS(gwa_client_shutdown(client, 50, NULL, &err), GWA_DEFERRED);
        raise_to(&may_go);
        CHECK_STATUS(gwa_client_shutdown(client, 30000, NULL, &err), GWA_OK);
        CHECK_EQ(ended, stacks);
        CHECK_STATUS(gwa_client_free(client), GWA_OK);
    }
    settles(THREADS, ALONE);
    CHECK_EQ(began, stacks);
    CHECK_EQ(ended, stacks);
    CHECK_EQ(released, 1);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
