/*
 * What the application destroys when a thread of the client ends, here by a pthread key that on_thread sets on the thread
 * of argument 1, takes its time. Argument 2: "free" is bounded and says so; "shutdown" as well, and a second one
 * waits for the thread; "inside": the destructor itself frees the client.
 */
#include "system.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int began, destroying, destroyed, may_go, released, frees_inside;
static gwa_status_t freed_inside;
static pthread_key_t key;
static gwa_client_t *client;
static const char *wanted;

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

static void destroy(void *value)
{
    CHECK(value == &client);
    raise_to(&destroying);
    if (frees_inside) {
        freed_inside = gwa_client_free(client);
    } else {
        AWAIT(may_go);
    }
    raise_to(&destroyed);
}

static void on_thread(void *user_data, int32_t moment, int32_t thread, const char *name)
{
    (void)user_data;
    (void)thread;
    if (moment == GWA_THREAD_STARTED && strcmp(name, wanted) == 0) {
        CHECK_EQ(pthread_setspecific(key, &client), 0);
        raise_to(&began);
    }
}

static void release(void *user_data)
{
    (void)user_data;
    raise_to(&released);
}

int main(int argc, char **argv)
{
    gwa_config_t *config = new_config();
    gwa_error_t *err = NULL;
    int32_t state;
    int frees;

    CHECK_EQ(argc, 3);
    wanted = argv[1];
    frees = strcmp(argv[2], "free") == 0;
    frees_inside = strcmp(argv[2], "inside") == 0;
    CHECK_EQ(pthread_key_create(&key, destroy), 0);
    CHECK_STATUS(gwa_config_on_thread(config, on_thread, NULL, release), GWA_OK);
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    CHECK_OK(gwa_client_start(client, &err));
    AWAIT(began == 1);
    if (frees) {
        CHECK_STATUS(gwa_client_free(client), GWA_DEFERRED);
        /* Its callbacks are over all the same. */
        AWAIT(destroying == 1 && released == 1);
        CHECK_EQ(destroyed, 0);
        raise_to(&may_go);
    } else if (frees_inside) {
        CHECK_STATUS(gwa_client_shutdown(client, 0, NULL, &err), GWA_DEFERRED);
        AWAIT(destroyed == 1 && released == 1);
        CHECK_STATUS(freed_inside, GWA_DEFERRED);
    } else {
        CHECK_STATUS(gwa_client_shutdown(client, 500, NULL, &err), GWA_DEFERRED);
        AWAIT(destroying == 1);
        /* Its body is over, and it counts until it has ended. */
        CHECK_STATUS(gwa_client_shutdown(client, 50, NULL, &err), GWA_DEFERRED);
        raise_to(&may_go);
        CHECK_STATUS(gwa_client_shutdown(client, (uint32_t)(30000 * slowness()), NULL, &err), GWA_OK);
        CHECK_EQ(destroyed, 1);
        CHECK_STATUS(gwa_client_free(client), GWA_OK);
    }
    CHECK_STATUS(gwa_client_state(client, &state), GWA_E_BAD_HANDLE);
    settles(THREADS, ALONE);
    CHECK_EQ(released, 1);
    CHECK_EQ(destroyed, 1);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
