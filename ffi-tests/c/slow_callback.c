/*
 * on_message hangs through GWA_TEST_COUNT renewals: they are not delayed, the statistics name the callback and for how
 * long it has been running, and a line of log does when it has returned.
 */
#include "common.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int inside, over, told;

static void listen(struct probe *probe, int kind, const void *object)
{
    if (kind == GWA_EVENT_REQUEST) {
        gwa_request_free((gwa_request_t *)(uintptr_t)object);
    }
    if (kind == GWA_EVENT_LOG) {
        const char *took = strstr((const char *)object, "on_message took ");
        pthread_mutex_lock(&probe->lock);
        told |= took && strtol(took + strlen("on_message took "), NULL, 10) >= 50;
        pthread_mutex_unlock(&probe->lock);
    }
}

static void hang(void *user_data, const gwa_event_t *message)
{
    (void)user_data;
    (void)message;
    pthread_mutex_lock(&lock);
    inside = 1;
    pthread_cond_broadcast(&changed);
    while (!over) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

int main(void)
{
    static struct probe probe = PROBE_INIT;
    unsigned long long renewals = (unsigned long long)number_or("GWA_TEST_COUNT", 2);
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;
    gwa_text_t *stats = NULL;
    const char *since;
    long long until;

    watch(config, &probe);
    probe.extra = listen;
    CHECK_STATUS(gwa_config_on_message(config, hang, NULL, NULL), GWA_OK);
    set(config, "callbacks.slow_ms", "50");
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    CHECK_OK(gwa_client_connect(client, 20000 * (uint32_t)slowness(), &err));
    pthread_mutex_lock(&lock);
    while (!inside) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
    until = now_ms() + 20000 * slowness();
    /* Nothing can call back now, so this one looks again and again. */
    while (metrics_of(client).renewals < renewals) {
        struct timespec tick = {0, 10000000};
        nanosleep(&tick, NULL);
        CHECK(now_ms() < until);
    }
    CHECK(metrics_of(client).last_lead_ms > 0);
    CHECK_STATUS(gwa_client_stats(client, GWA_STATS_JSON, &stats), GWA_OK);
    CHECK_CONTAINS(gwa_text_data(stats, NULL), "\"running_callback\":{\"name\":\"on_message\"");
    since = strstr(gwa_text_data(stats, NULL), "\"for_ms\":");
    CHECK(since != NULL && strtol(since + strlen("\"for_ms\":"), NULL, 10) >= 50);
    CHECK(!told);
    gwa_text_free(stats);
    pthread_mutex_lock(&lock);
    over = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    WAIT(&probe, 10000, probe.tokens > renewals);
    CHECK(metrics_of(client).slow_callbacks > 0);
    WAIT(&probe, 10000, told);
    CHECK_EQ(probe.gap_begins, 0);
    finish(client, &probe);
    return 0;
}
