/*
 * delivery = poll: gwa_client_free() while other threads are inside gwa_client_next_event(). Argument 1: "waits" for the
 * callback that one of them is in (GWA_OK: it has returned, its release has run, none begins any more), or "defers"
 * because that callback does not return in time.
 */
#include "common.h"

#define POLLERS 3

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int begun, running, released, freed, may_go, defers;
static gwa_client_t *client;

#define AWAIT(condition)                                                                                               \
    do {                                                                                                               \
        struct timespec until_ = probe_deadline(30000);                                                                \
        int over_ = 0;                                                                                                 \
        while (!(condition)) {                                                                                         \
            CHECK(!over_ && #condition);                                                                               \
            over_ = pthread_cond_timedwait(&changed, &lock, &until_) == ETIMEDOUT;                                     \
        }                                                                                                              \
    } while (0)

/* Until another thread has begun to free the client; then long enough for it to return, should it not wait. */
static void linger(void)
{
    struct timespec tick = {0, 1000000}, while_it_may_return = {0, 200000000};
    long long until = now_ms() + 30000 * slowness();
    int32_t state;
    while (gwa_client_state(client, &state) == GWA_OK) {
        CHECK(now_ms() < until);
        nanosleep(&tick, NULL);
    }
    nanosleep(&while_it_may_return, NULL);
}

static void call(void *user_data, const gwa_event_t *event)
{
    (void)user_data;
    (void)event;
    pthread_mutex_lock(&lock);
    if (freed) {
        FAIL("a callback begins after the client was freed");
    }
    begun++;
    running++;
    pthread_cond_broadcast(&changed);
    if (defers) {
        AWAIT(may_go);
    } else {
        pthread_mutex_unlock(&lock);
        linger();
        pthread_mutex_lock(&lock);
    }
    CHECK_EQ(released, 0);
    running--;
    pthread_mutex_unlock(&lock);
}

static void release(void *user_data)
{
    (void)user_data;
    pthread_mutex_lock(&lock);
    released++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void *pump(void *unused)
{
    gwa_event_t *event = NULL;
    gwa_status_t status;
    while ((status = gwa_client_next_event(client, GWA_NO_LIMIT, &event)) == GWA_OK) {
        gwa_event_free(event);
    }
    /* Who comes late finds the handle dead. */
    CHECK(status == GWA_E_CLOSED || status == GWA_E_BAD_HANDLE);
    return unused;
}

int main(int argc, char **argv)
{
    gwa_config_t *config = new_config();
    gwa_error_t *err = NULL;
    pthread_t pollers[POLLERS];
    int i;

    CHECK_EQ(argc, 2);
    defers = strcmp(argv[1], "defers") == 0;
    /* One callback: its release is the last thing that happens. */
    CHECK_STATUS(gwa_config_on_state(config, call, NULL, release), GWA_OK);
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    CHECK_OK(gwa_client_start(client, &err));
    for (i = 0; i < POLLERS; i++) {
        CHECK_EQ(pthread_create(&pollers[i], NULL, pump, NULL), 0);
    }
    pthread_mutex_lock(&lock);
    AWAIT(running == 1);
    pthread_mutex_unlock(&lock);
    CHECK_STATUS(gwa_client_free(client), defers ? GWA_DEFERRED : GWA_OK);
    pthread_mutex_lock(&lock);
    freed = 1;
    CHECK_EQ(running, defers);
    CHECK_EQ(released, !defers);
    may_go = 1;
    pthread_cond_broadcast(&changed);
    AWAIT(released == 1);
    pthread_mutex_unlock(&lock);
    for (i = 0; i < POLLERS; i++) {
        CHECK_EQ(pthread_join(pollers[i], NULL), 0);
    }
    CHECK_EQ(begun, 1);
    CHECK_EQ(released, 1);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
