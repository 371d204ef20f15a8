/*
 * The process ends while the client is alive. Argument 1 says how: return, exit, quick_exit, _Exit, thread (another one
 * calls exit); atexit, at_quick_exit and static (as the destructor of a static C++ object is registered) end the
 * client in a handler. Argument 2 is the delivery; argument 3 says where the client is: live, or dialling an address that
 * does not answer. A handler must not start a thread: the C library may be past that.
 */
#define _GNU_SOURCE
#include <dlfcn.h>

#include "common.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GWA_TEST_INTERCEPTED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define GWA_TEST_INTERCEPTED
#endif

static struct probe probe = PROBE_INIT;
static gwa_client_t *client;
static const char *how;
static int polls;
#ifndef GWA_TEST_INTERCEPTED
static int ending, created;
#endif

#ifndef GWA_TEST_INTERCEPTED
/* In place of the C library's, also for the library, which is linked statically. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *), void *data)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    CHECK(real != NULL);
    if (__atomic_load_n(&ending, __ATOMIC_SEQ_CST)) {
        FAIL("a thread is started while the client ends");
    }
    __atomic_add_fetch(&created, 1, __ATOMIC_SEQ_CST);
    return real(thread, attributes, function, data);
}
#endif

/* Shut down, then freed; what is left in the queue of delivery = poll is not asked for. */
static void end_client(void)
{
#ifndef GWA_TEST_INTERCEPTED
    __atomic_store_n(&ending, 1, __ATOMIC_SEQ_CST);
#endif
    CHECK_STATUS(gwa_client_shutdown(client, (uint32_t)(20000 * slowness()), NULL, NULL), GWA_OK);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_EQ(probe.released, PROBE_CALLBACKS);
    probe.dead = 1;
    tell("ended_in_handler", 1);
}

static void destructor(void *unused)
{
    (void)unused;
    end_client();
}

static int is(const char *word)
{
    return strcmp(how, word) == 0;
}

static void *exits(void *unused)
{
    exit(0);
    return unused;
}

static void until_there(int dials)
{
    while (polls) {
        gwa_event_t *event = NULL;
        CHECK_STATUS(gwa_client_next_event(client, (uint32_t)(20000 * slowness()), &event), GWA_OK);
        gwa_event_free(event);
        if (dials ? probe.states[GWA_STATE_ACQUIRING_TOKEN] > 0 : probe.messages > 3) {
            return;
        }
    }
    WAIT(&probe, 20000, dials ? probe.states[GWA_STATE_ACQUIRING_TOKEN] > 0 : probe.messages > 3);
}

int main(int argc, char **argv)
{
    extern int __cxa_atexit(void (*)(void *), void *, void *);
    extern void *__dso_handle;

    CHECK_EQ(argc, 4);
    how = argv[1];
    polls = strcmp(argv[2], "poll") == 0;
    probe.quiet = 1;
    CHECK(!is("atexit") || atexit(end_client) == 0);
    CHECK(!is("at_quick_exit") || at_quick_exit(end_client) == 0);
    CHECK(!is("static") || __cxa_atexit(destructor, NULL, &__dso_handle) == 0);
    client = started(&probe);
    until_there(strcmp(argv[3], "dialling") == 0);
#ifndef GWA_TEST_INTERCEPTED
    CHECK(__atomic_load_n(&created, __ATOMIC_SEQ_CST) >= 2); /* those of the library are seen */
#endif
    tell("there", 1);
    if (is("exit")) {
        exit(0);
    }
    if (is("quick_exit") || is("at_quick_exit")) {
        quick_exit(0);
    }
    if (is("_Exit")) {
        _Exit(0);
    }
    if (is("thread")) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, exits, NULL), 0);
        pthread_join(thread, NULL);
    }
    return 0;
}
