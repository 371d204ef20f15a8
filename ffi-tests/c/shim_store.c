/*
 * LD_PRELOAD: counts what a process does to the files of one directory, and ends it or lets it fail at one of these.
 *
 *   GWA_SHIM_STORE=path   the directory: operations on files whose path holds this text are counted
 *   GWA_SHIM_AT=n         the n-th operation (from 1) is the one
 *   GWA_SHIM_DO=before    SIGKILL instead of the operation
 *   GWA_SHIM_DO=after     SIGKILL when it is done
 *   GWA_SHIM_DO=half      SIGKILL when half of a write is done; like before where there are no halves
 *   GWA_SHIM_DO=fail      it fails with GWA_SHIM_ERRNO
 *   GWA_SHIM_REPORT=file  each operation adds a line: "<name> <flags> <mode> <last part of the path>"
 *
 * Rust's standard library makes all of these calls through libc's symbols. Locks are given up unseen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/types.h>
#include <unistd.h>

#define MOST 1024

static char ours[MOST]; /* descriptors */
static long count;

static const char *text_of(const char *name)
{
    const char *text = getenv(name);
    return text ? text : "";
}

static int does(const char *what)
{
    return strcmp(text_of("GWA_SHIM_DO"), what) == 0;
}

static int is_ours(const char *path)
{
    return *text_of("GWA_SHIM_STORE") && strstr(path, text_of("GWA_SHIM_STORE")) != NULL;
}

static int has(int fd)
{
    return fd >= 0 && fd < MOST && ours[fd];
}

static void end(void)
{
    kill(getpid(), SIGKILL);
    for (;;) {
        pause();
    }
}

static void note(const char *name, int flags, unsigned mode, const char *path)
{
    const char *last = strrchr(path, '/');
    FILE *file = *text_of("GWA_SHIM_REPORT") ? fopen(getenv("GWA_SHIM_REPORT"), "a") : NULL;
    if (file) {
        fprintf(file, "%s %o %o %s\n", name, (unsigned)flags, mode, last ? last + 1 : path);
        fclose(file);
    }
}

/* Whether this operation is the one. */
static int is_due(const char *name, int flags, unsigned mode, const char *path)
{
    int due = __atomic_add_fetch(&count, 1, __ATOMIC_SEQ_CST) == strtol(text_of("GWA_SHIM_AT"), NULL, 10);
    note(name, flags, mode, path);
    if (due && does("before")) {
        end();
    }
    return due;
}

static int fails(int due)
{
    if (due && does("fail")) {
        errno = atoi(text_of("GWA_SHIM_ERRNO"));
        return 1;
    }
    return 0;
}

#define REAL(result, name, parameters)                                                                                 \
    static result(*real) parameters;                                                                                   \
    if (!real) {                                                                                                       \
        *(void **)(&real) = dlsym(RTLD_NEXT, name);                                                                    \
    }

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, unsigned mode)
{
    int due, fd;
    if (!is_ours(path)) {
        return real(path, flags, mode);
    }
    due = is_due("open", flags, mode, path);
    if ((due && does("half"))) {
        end();
    }
    if (fails(due)) {
        return -1;
    }
    fd = real(path, flags, mode);
    if (fd >= 0 && fd < MOST) {
        ours[fd] = 1;
    }
    if (due && does("after")) {
        end();
    }
    return fd;
}

static unsigned mode_of(int flags, va_list list)
{
    return flags & O_CREAT ? va_arg(list, unsigned) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list list;
    unsigned mode;
    REAL(int, "open", (const char *, int, ...))
    va_start(list, flags);
    mode = mode_of(flags, list);
    va_end(list);
    return opened(real, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list list;
    unsigned mode;
    REAL(int, "open64", (const char *, int, ...))
    va_start(list, flags);
    mode = mode_of(flags, list);
    va_end(list);
    return opened(real, path, flags, mode);
}

int close(int fd)
{
    REAL(int, "close", (int))
    if (fd >= 0 && fd < MOST) {
        ours[fd] = 0;
    }
    return real(fd);
}

ssize_t write(int fd, const void *data, size_t len)
{
    int due;
    ssize_t done;
    REAL(ssize_t, "write", (int, const void *, size_t))
    if (!has(fd)) {
        return real(fd, data, len);
    }
    due = is_due("write", 0, 0, "");
    if (fails(due)) {
        return -1;
    }
    done = real(fd, data, due && does("half") ? len / 2 : len);
    if (due && (does("half") || does("after"))) {
        end();
    }
    return done;
}

/* The rest has no halves. */
#define WHOLE(name, path, call)                                                                                        \
    do {                                                                                                               \
        int result_, due_ = is_due(name, 0, 0, path);                                                                  \
        if (due_ && does("half")) {                                                                                    \
            end();                                                                                                     \
        }                                                                                                              \
        if (fails(due_)) {                                                                                             \
            return -1;                                                                                                 \
        }                                                                                                              \
        result_ = (call);                                                                                              \
        if (due_ && does("after")) {                                                                                   \
            end();                                                                                                     \
        }                                                                                                              \
        return result_;                                                                                                \
    } while (0)

int fsync(int fd)
{
    REAL(int, "fsync", (int))
    if (!has(fd)) {
        return real(fd);
    }
    WHOLE("fsync", "", real(fd));
}

int rename(const char *from, const char *to)
{
    REAL(int, "rename", (const char *, const char *))
    if (!is_ours(to)) {
        return real(from, to);
    }
    WHOLE("rename", to, real(from, to));
}

int flock(int fd, int operation)
{
    REAL(int, "flock", (int, int))
    if (!has(fd) || (operation & LOCK_UN)) {
        return real(fd, operation);
    }
    WHOLE("flock", "", real(fd, operation));
}
