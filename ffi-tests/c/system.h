/*
 * What the process holds of the system, and what the shims it may run under can be told. Comes before common.h, whose
 * waits then go by the true clock, however shim_clock.c moves the one of the library.
 */
#ifndef GWA_TEST_SYSTEM_H
#define GWA_TEST_SYSTEM_H

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline int true_clock_gettime(clockid_t clock, struct timespec *time)
{
    return (int)syscall(SYS_clock_gettime, (long)clock, time);
}

#define clock_gettime true_clock_gettime

#include "common.h"

#define DESCRIPTORS "/proc/self/fd"
#define THREADS "/proc/self/task"
/* Entries of THREADS when the main thread is alone, with "." and "..". */
#define ALONE 3

static inline int entries_of(const char *directory)
{
    DIR *open = opendir(directory);
    int count = 0;
    CHECK(open != NULL);
    while (readdir(open)) {
        count++;
    }
    closedir(open);
    return count;
}

/* A thread that was joined, or that nobody joins, is gone from /proc a moment later. */
static inline void settles(const char *directory, int wanted)
{
    long long until = now_ms() + 10000 * slowness();
    const struct timespec moment = {0, 1000000};
    while (entries_of(directory) != wanted) {
        if (now_ms() > until) {
            fprintf(stderr, "%s: %d instead of %d\n", directory, entries_of(directory), wanted);
            FAIL("something is left");
        }
        nanosleep(&moment, NULL);
    }
}

/* Of the library's threads those whose name begins so: tools have threads of their own. */
static inline int library_threads(const char *prefix)
{
    DIR *tasks = opendir(THREADS);
    struct dirent *entry;
    int found = 0;
    CHECK(tasks != NULL);
    while ((entry = readdir(tasks)) != NULL) {
        char path[300], name[32] = "";
        FILE *file;
        snprintf(path, sizeof path, THREADS "/%s/comm", entry->d_name);
        file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (file) {
            found += fgets(name, sizeof name, file) != NULL && strncmp(name, prefix, strlen(prefix)) == 0;
            fclose(file);
        }
    }
    closedir(tasks);
    return found;
}

/* A thread that was joined is gone from /proc a moment later. */
static inline void no_library_thread_is_left(void)
{
    long long until = now_ms() + 10000 * slowness();
    const struct timespec moment = {0, 1000000};
    while (library_threads("gwa-") > 0) {
        CHECK(now_ms() < until);
        nanosleep(&moment, NULL);
    }
}

/* A function of a shim that must be there. */
static inline void *of_shim(const char *name)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    if (!found) {
        FAIL(name);
    }
    return found;
}

static inline void clock_step(long boot_ms, long wall_ms)
{
    void (*step)(long, long);
    *(void **)(&step) = of_shim("shim_clock_step");
    step(boot_ms, wall_ms);
}

static inline void call_shim(const char *name)
{
    void (*function)(void);
    *(void **)(&function) = of_shim(name);
    function();
}

#endif
