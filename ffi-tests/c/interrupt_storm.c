/*
 * Signals by the thousand, whose handler interrupts the client, hit threads that wait in the library and threads that are
 * anywhere inside of it, its locks held. Nothing hangs, no call is told twice of one interrupt, and the last interrupt
 * reaches every thread.
 */
#include "common.h"

#include <sched.h>

#define WAITING 3
#define BUSY 2

static gwa_client_t *volatile interrupted;
static int over, ready, waiting_now;
static unsigned long long handled;

static void handler(int signal)
{
    (void)signal;
    if (gwa_client_interrupt(interrupted) == GWA_OK) {
        __atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
    }
}

static int is_over(void)
{
    return __atomic_load_n(&over, __ATOMIC_SEQ_CST);
}

/* Waits without limit: only an interrupt, or an event, ends a call. */
static void *waiting(void *argument)
{
    gwa_client_t *client = (gwa_client_t *)argument;
    unsigned long long told = 0;
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    while (!is_over()) {
        gwa_event_t *event = NULL;
        gwa_status_t status = gwa_client_next_event(client, GWA_NO_LIMIT, &event);
        if (status == GWA_E_INTERRUPTED) {
            told++;
        } else {
            CHECK_STATUS(status, GWA_OK);
            gwa_event_free(event);
        }
    }
    __atomic_add_fetch(&waiting_now, -1, __ATOMIC_SEQ_CST);
    return (void *)(uintptr_t)told;
}

/* Holds the locks of handles, queues and settings as often as it can. */
static void *busy(void *argument)
{
    gwa_client_t *client = (gwa_client_t *)argument;
    __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    while (!is_over()) {
        gwa_config_t *config = NULL;
        gwa_text_t *text = NULL;
        int32_t state;
        CHECK_STATUS(gwa_config_new(&config), GWA_OK);
        CHECK_STATUS(gwa_config_set(config, "region", "example.com", NULL), GWA_OK);
        CHECK_STATUS(gwa_client_state(client, &state), GWA_OK);
        CHECK_STATUS(gwa_client_config(client, &text), GWA_OK);
        gwa_text_free(text);
        gwa_client_send(client, "x", 1, GWA_TEXT, NULL, NULL);
        gwa_config_free(config);
    }
    return (void *)0;
}

int main(void)
{
    pthread_t threads[WAITING + BUSY];
    struct sigaction action;
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;
    long signals = number_or("GWA_TEST_COUNT", 5000), n;
    unsigned long long told = 0;
    int i;

    set(config, "delivery", "poll");
    CHECK_OK(gwa_client_new(config, &client, &err));
    gwa_config_free(config);
    CHECK_OK(gwa_client_connect(client, (uint32_t)(20000 * slowness()), &err));
    interrupted = client;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler; /* without SA_RESTART: system calls of the library end early, too */
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    waiting_now = WAITING;
    for (i = 0; i < WAITING + BUSY; i++) {
        CHECK_EQ(pthread_create(&threads[i], NULL, i < WAITING ? waiting : busy, client), 0);
    }
    while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < WAITING + BUSY) {
        sched_yield();
    }
    for (n = 0; n < signals; n++) {
        CHECK_EQ(pthread_kill(threads[n % (WAITING + BUSY)], SIGUSR1), 0);
        if (n % 16 == 0) {
            sched_yield();
        }
    }
    /* Sticky: told before a thread waits, it ends the wait that comes. */
    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
    CHECK_STATUS(gwa_client_interrupt(client), GWA_OK);
    for (i = 0; i < WAITING + BUSY; i++) {
        void *result = NULL;
        CHECK_EQ(pthread_join(threads[i], &result), 0);
        /* Once for an interrupt at most, the one above included. */
        CHECK((uintptr_t)result <= handled + 1);
        told += (uintptr_t)result;
    }
    CHECK_EQ(waiting_now, 0);
    CHECK(handled > 0 && told >= WAITING);
    tell("handled", (long long)handled);
    tell("told", (long long)told);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_STATUS(gwa_client_interrupt(client), GWA_E_BAD_HANDLE);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
