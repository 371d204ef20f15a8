/*
 * A panic in the thread that argument 1 names (or "main": in a call of the program's own thread), planted by a clock that
 * fails once or always (argument 2): std panics where it reads one. It is caught, silent, and told: a record (which
 * needs a clock) and an error that say where, the state Failed, GWA_E_PANIC from then on; and the client can still be
 * shut down and freed. With an argument 3 the records have another format than the native one.
 */
#define _GNU_SOURCE
#include "common.h"

#include <sys/syscall.h>

static char poisoned[16]; /* written before it is armed */
static int armed;
static int always;

/* In place of libc's, for this program and the library in it. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
    char name[16] = "";
    if (__atomic_load_n(&armed, __ATOMIC_ACQUIRE) && clock == CLOCK_MONOTONIC) {
        pthread_getname_np(pthread_self(), name, sizeof name);
        if (strcmp(name, poisoned) == 0) {
            if (!always) {
                __atomic_store_n(&armed, 0, __ATOMIC_RELEASE);
            }
            errno = EINVAL;
            return -1;
        }
    }
    return (int)syscall(SYS_clock_gettime, clock, time);
}

static void poison(const char *thread)
{
    snprintf(poisoned, sizeof poisoned, "%s", thread);
    __atomic_store_n(&armed, 1, __ATOMIC_RELEASE);
}

static char record[2048], state_error[2048];
static gwa_status_t state_code;
static int has_record;

static void keep(struct probe *probe, int kind, const void *object)
{
    (void)probe;
    if (kind == GWA_EVENT_AUDIT && strcmp(gwa_audit_kind((const gwa_audit_t *)object, NULL), "panic") == 0) {
        snprintf(record, sizeof record, "%s", gwa_audit_json((const gwa_audit_t *)object, NULL));
        __atomic_store_n(&has_record, 1, __ATOMIC_RELEASE);
    }
    if (kind == GWA_EVENT_STATE && gwa_event_state_to((const gwa_event_t *)object) == GWA_STATE_FAILED) {
        const gwa_error_t *error = gwa_event_error((const gwa_event_t *)object);
        snprintf(state_error, sizeof state_error, "%s", gwa_error_message(error, NULL));
        __atomic_store_n(&state_code, gwa_error_code(error), __ATOMIC_RELEASE);
    }
    if (kind == GWA_EVENT_REQUEST) {
        gwa_request_free((gwa_request_t *)(uintptr_t)object);
    }
}

/* ".rs:" and a line. */
static void check_place(const char *text)
{
    const char *place = strstr(text, ".rs:");
    CHECK(place != NULL && place[4] >= '1' && place[4] <= '9');
}

int main(int argc, char **argv)
{
    static struct probe probe = PROBE_INIT;
    gwa_client_t *client;
    gwa_error_t *err = NULL;
    gwa_shutdown_report_t report;

    CHECK(argc == 3 || argc == 4);
    probe.any_format = argc == 4;
    always = strcmp(argv[2], "always") == 0;
    client = new_client(&probe);
    probe.extra = keep;
    if (strcmp(argv[1], "main") == 0) {
        CHECK_EQ(pthread_setname_np(pthread_self(), "main"), 0);
        poison("main");
        CHECK_STATUS(gwa_client_connect(client, 1000, &err), GWA_E_PANIC);
        __atomic_store_n(&armed, 0, __ATOMIC_RELEASE);
        check_place(gwa_error_message(err, NULL));
        CHECK_EQ(gwa_error_category(err), GWA_CATEGORY_PANIC);
        gwa_error_free(err);
        CHECK_STATUS(gwa_client_free(client), GWA_OK);
        CHECK_EQ(gwa_debug_live_objects(), 0);
        return 0;
    }
    CHECK_OK(gwa_client_connect(client, (uint32_t)(20000 * slowness()), &err));
    poison(argv[1]);
    /* wakes the thread up, if it does not run anyway */
    (void)gwa_client_refresh_now(client, NULL);
    (void)gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL);
    WAIT(&probe, 20000,
         __atomic_load_n(&state_code, __ATOMIC_ACQUIRE) != 0 &&
             (always || __atomic_load_n(&has_record, __ATOMIC_ACQUIRE)));
    CHECK_EQ(state_code, GWA_E_PANIC);
    if (!always) {
        check_place(record);
        CHECK_CONTAINS(record, argv[1]);
    }
    check_place(state_error);
    CHECK_CONTAINS(state_error, argv[1]);
    CHECK_STATUS(gwa_client_refresh_now(client, NULL), GWA_E_PANIC);
    CHECK_STATUS(gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL), GWA_E_PANIC);
    GWA_SHUTDOWN_REPORT_INIT(&report);
    CHECK_OK(gwa_client_shutdown(client, (uint32_t)(20000 * slowness()), &report, &err));
    CHECK_EQ(report.complete, 1);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_EQ(probe.released, PROBE_CALLBACKS);
    CHECK_EQ(probe.holes, 0);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
