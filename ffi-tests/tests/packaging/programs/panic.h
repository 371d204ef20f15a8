/*
 * A real panic inside the library, without a hook in it: the clock fails, which Rust's std answers with a panic. The
 * library must catch it: unwinding works in what was linked.
 */
#ifndef PANIC_H
#define PANIC_H

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "receive.h"

static volatile int clock_fails;

/* Takes the place of libc's, for the library too. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
    if (clock_fails) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_clock_gettime, clock, time);
}

static inline int panic_is_caught(void)
{
    gwa_text_t *text = NULL;
    gwa_error_t *error = NULL;
    gwa_status_t status;
    int well;
    clock_fails = 1;
    status = gwa_scopes_check("opaque", 6, NULL, 0, &text, &error);
    clock_fails = 0;
    well = status == GWA_E_PANIC && strstr(gwa_error_message(error, NULL), "time.rs") != NULL;
    if (!well)
        return failed("a panic that was to be caught", status, error) == 0;
    gwa_error_free(error);
    /* And it goes on. */
    status = gwa_scopes_check("opaque", 6, NULL, 0, &text, NULL);
    gwa_text_free(text);
    return status == GWA_OK;
}

#endif
