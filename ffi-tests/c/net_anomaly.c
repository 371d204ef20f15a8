/*
 * One life of a client: connects, receives, sends, renews, loses its socket, comes back, ends. Meanwhile operations of the
 * network fail as shim_net.c was told. Argument 1: "succeeds", if all of it has to come to pass whatever fails; else it
 * ends when it has, or when GWA_TEST_PATIENCE milliseconds are over. Either way nothing is left of it.
 */
#include "system.h"

static struct probe probe = PROBE_INIT;
static gwa_client_t *client;

static void tell_error(const gwa_error_t *error)
{
    gwa_status_t code = gwa_error_code(error);
    printf("error %s %s\n", gwa_status_name(code), gwa_error_stage(error, NULL));
    CHECK(code != GWA_E_PANIC);
}

static void on_anything(struct probe *unused, int kind, const void *object)
{
    (void)unused;
    if (kind == GWA_EVENT_STATE) {
        const gwa_error_t *error = gwa_event_error((const gwa_event_t *)object);
        CHECK(gwa_event_state_to((const gwa_event_t *)object) != GWA_STATE_FAILED);
        if (error) {
            tell_error(error);
        }
    }
}

/* A call at the start may fail for want of descriptors or threads; then nothing has happened, and it can be made again. */
static int is_refused(gwa_status_t status, gwa_error_t **error)
{
    if (status == GWA_OK) {
        return 0;
    }
    CHECK_STATUS(status, GWA_E_INTERNAL);
    tell_error(*error);
    gwa_error_free(*error);
    return 1;
}

/* Whether the condition came to hold in time; `done` looks at the probe under its lock. */
static int comes(long ms, int (*done)(void))
{
    struct timespec until = probe_deadline(ms);
    int over = 0, came;
    pthread_mutex_lock(&probe.lock);
    while (!(came = done()) && !over) {
        over = pthread_cond_timedwait(&probe.changed, &probe.lock, &until) == ETIMEDOUT;
    }
    pthread_mutex_unlock(&probe.lock);
    return came;
}

static int receives(void)
{
    return probe.state == GWA_STATE_READY && probe.messages > 0;
}

/* Another socket and another token than the first ones, and messages come. */
static int is_back(void)
{
    return probe.tokens > 1 && probe.connection > 1 && probe.state == GWA_STATE_READY && probe.sents > 0;
}

/* How many messages were taken, each of which ends exactly once. */
static unsigned long live(int must, long patience)
{
    gwa_error_t *err = NULL;
    unsigned long taken = 0;
    long long until = now_ms() + patience;
    int came = comes(patience, receives);
    if (came) {
        for (; taken < 3; taken++) {
            CHECK_OK(gwa_client_send(client, "hello", 5, GWA_TEXT, NULL, &err));
        }
        CHECK_OK(gwa_client_refresh_now(client, &err));
        came = comes((long)(until - now_ms()), is_back);
    }
    if (must && !came) {
        probe_print(&probe);
        FAIL("it did not come back");
    }
    tell("came_back", came);
    return taken;
}

static void finish_anyhow(unsigned long taken)
{
    gwa_error_t *err = NULL;
    gwa_shutdown_report_t report;
    long long began = now_ms();
    GWA_SHUTDOWN_REPORT_INIT(&report);
    CHECK_OK(gwa_client_shutdown(client, 20000, &report, &err));
    CHECK_EQ(report.complete, 1);
    CHECK_EQ(report.audit_undelivered, 0);
    CHECK(report.stuck_callback == NULL);
    tell("shutdown_ms", now_ms() - began);
    CHECK_EQ(metrics_of(client).senseless_inputs, 0);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    check_clean(&probe);
    CHECK_EQ(probe.sents + probe.unsents, taken);
}

int main(int argc, char **argv)
{
    int must = argc > 1 && strcmp(argv[1], "succeeds") == 0;
    long patience = must ? 40000 : number_or("GWA_TEST_PATIENCE", 1000);
    int descriptors = entries_of(DESCRIPTORS), refusals = 0;
    gwa_config_t *config = new_config();
    gwa_error_t *err = NULL;

    probe.extra = on_anything;
    watch(config, &probe);
    while (is_refused(gwa_client_new(config, &client, &err), &err) && refusals < 8) {
        refusals++;
    }
    while (client && is_refused(gwa_client_start(client, &err), &err) && refusals < 8) {
        refusals++;
    }
    gwa_config_free(config);
    tell("refusals", refusals);
    if (refusals < 8) {
        finish_anyhow(live(must, patience));
    } else {
        CHECK(!must);
        tell("came_back", 0);
        CHECK_STATUS(gwa_client_free(client), GWA_OK);
        CHECK_EQ(probe.holes, 0);
    }
    CHECK_EQ(gwa_debug_live_objects(), 0);
    tell("cpu_ms", clock() * 1000 / CLOCKS_PER_SEC);
    settles(THREADS, ALONE);
    settles(DESCRIPTORS, descriptors);
    return 0;
}
