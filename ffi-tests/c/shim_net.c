/*
 * LD_PRELOAD: counts the network operations of a process and lets some of them fail, hang or do less than asked for.
 *
 *   GWA_SHIM_FAIL=n:k     operation n fails, and of those of its kind that come later k - 1; k = 0: all of them
 *   GWA_SHIM_KIND=send    only operations of this kind are counted for that
 *   GWA_SHIM_ERRNO=e      it fails with this number instead of the one below
 *   GWA_SHIM_MODE=eintr   every second recv, send and epoll_wait is interrupted by a signal, so to speak
 *   GWA_SHIM_MODE=short   send takes one to seven bytes at a time
 *   GWA_SHIM_HANG=1       getaddrinfo does not return until shim_net_release()
 *   GWA_SHIM_REPORT=file  at the end: how many operations there were, in all and of each kind, and what failed
 *
 * Only calls through libc's symbols can be seen; std, mio and the library make all of theirs that way. Not here, since
 * they have no failure a program can meet: close(2), and read(2) and write(2), which the library uses on eventfds alone.
 * recv never gives less than there is: at an edge-triggered socket a short read means that nothing is left.
 *
 * api.localhost is 127.0.0.1 here, so that a name is looked up wherever the machine's own resolver stands.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum kind {
    SOCKET,
    CONNECT,
    SEND,
    RECV,
    GETSOCKOPT,
    SETSOCKOPT,
    GETPEERNAME,
    SHUTDOWN,
    EPOLL_CREATE,
    EPOLL_CTL,
    EPOLL_WAIT,
    EVENTFD,
    TIMERFD_CREATE,
    TIMERFD_SETTIME,
    GETADDRINFO,
    PTHREAD_CREATE,
    KINDS
};

static const struct {
    const char *name;
    int error;
} kinds[KINDS] = {
    {"socket", EMFILE},       {"connect", ENETUNREACH},    {"send", EPIPE},
    {"recv", ECONNRESET},     {"getsockopt", ENOBUFS},     {"setsockopt", ENOMEM},
    {"getpeername", ENOBUFS}, {"shutdown", ENOTCONN},      {"epoll_create", EMFILE},
    {"epoll_ctl", ENOSPC},    {"epoll_wait", EINTR},       {"eventfd", EMFILE},
    {"timerfd_create", EMFILE}, {"timerfd_settime", EPERM}, {"getaddrinfo", EAI_AGAIN},
    {"pthread_create", EAGAIN},
};

static long fail_at, fail_count, fail_errno;
static int interrupts, is_short, hangs;
static unsigned long total, of_kind[KINDS], failures, turns;
/* The kind of operation n; -1: it has not come yet. Likewise the kind that alone is counted. */
static int failing = -1, counted = -1;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int hung, released;

static const char *text_of(const char *name)
{
    const char *text = getenv(name);
    return text ? text : "";
}

__attribute__((constructor)) static void begin(void)
{
    char *rest;
    int kind;
    for (kind = 0; kind < KINDS; kind++) {
        counted = strcmp(text_of("GWA_SHIM_KIND"), kinds[kind].name) == 0 ? kind : counted;
    }
    fail_at = strtol(text_of("GWA_SHIM_FAIL"), &rest, 10);
    fail_count = *rest == ':' ? strtol(rest + 1, NULL, 10) : 1;
    fail_errno = strtol(text_of("GWA_SHIM_ERRNO"), NULL, 10);
    interrupts = strcmp(text_of("GWA_SHIM_MODE"), "eintr") == 0;
    is_short = strcmp(text_of("GWA_SHIM_MODE"), "short") == 0;
    hangs = *text_of("GWA_SHIM_HANG") != 0;
}

__attribute__((destructor)) static void end(void)
{
    FILE *file = *text_of("GWA_SHIM_REPORT") ? fopen(getenv("GWA_SHIM_REPORT"), "w") : NULL;
    int kind;
    if (!file) {
        return;
    }
    fprintf(file, "total=%lu\nfailures=%lu\nfailed=%s\n", total, failures, failing < 0 ? "" : kinds[failing].name);
    for (kind = 0; kind < KINDS; kind++) {
        fprintf(file, "%s=%lu\n", kinds[kind].name, of_kind[kind]);
    }
    fclose(file);
}

/* Whether this operation has to fail, and with what. */
static int fault(enum kind kind)
{
    unsigned long number = __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
    unsigned long number_of_kind = __atomic_add_fetch(&of_kind[kind], 1, __ATOMIC_SEQ_CST);
    if (counted >= 0) {
        number = counted == (int)kind ? number_of_kind : 0;
    }
    if (fail_at > 0 && number == (unsigned long)fail_at) {
        __atomic_store_n(&failing, (int)kind, __ATOMIC_SEQ_CST);
    }
    if (__atomic_load_n(&failing, __ATOMIC_SEQ_CST) != (int)kind) {
        return 0;
    }
    if (__atomic_add_fetch(&failures, 1, __ATOMIC_SEQ_CST) > (unsigned long)fail_count && fail_count > 0) {
        __atomic_sub_fetch(&failures, 1, __ATOMIC_SEQ_CST);
        return 0;
    }
    if (kind == EPOLL_WAIT && fail_count == 0 && !fail_errno) {
        return EBADF; /* nobody is interrupted for ever, but somebody may have closed the descriptor */
    }
    return fail_errno ? (int)fail_errno : kinds[kind].error;
}

static int interrupted(void)
{
    return interrupts && __atomic_add_fetch(&turns, 1, __ATOMIC_SEQ_CST) % 2 == 1;
}

#define REAL(result, name, parameters)                                                                                 \
    static result(*real) parameters;                                                                                   \
    if (!real) {                                                                                                       \
        *(void **)(&real) = dlsym(RTLD_NEXT, #name);                                                                   \
    }

#define FAIL_IF_DUE(kind)                                                                                              \
    do {                                                                                                               \
        int error_ = fault(kind);                                                                                      \
        if (error_) {                                                                                                  \
            errno = error_;                                                                                            \
            return -1;                                                                                                 \
        }                                                                                                              \
    } while (0)

#define FAIL_IF_INTERRUPTED()                                                                                          \
    do {                                                                                                               \
        if (interrupted()) {                                                                                           \
            errno = EINTR;                                                                                             \
            return -1;                                                                                                 \
        }                                                                                                              \
    } while (0)

int socket(int domain, int type, int protocol)
{
    REAL(int, socket, (int, int, int))
    FAIL_IF_DUE(SOCKET);
    return real(domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    REAL(int, connect, (int, const struct sockaddr *, socklen_t))
    FAIL_IF_DUE(CONNECT);
    return real(fd, address, len);
}

ssize_t send(int fd, const void *data, size_t len, int flags)
{
    REAL(ssize_t, send, (int, const void *, size_t, int))
    FAIL_IF_DUE(SEND);
    FAIL_IF_INTERRUPTED();
    if (is_short && len > 1) {
        size_t most = 1 + __atomic_add_fetch(&turns, 1, __ATOMIC_SEQ_CST) % 7;
        len = len < most ? len : most;
    }
    return real(fd, data, len, flags);
}

ssize_t recv(int fd, void *data, size_t len, int flags)
{
    REAL(ssize_t, recv, (int, void *, size_t, int))
    FAIL_IF_DUE(RECV);
    FAIL_IF_INTERRUPTED();
    return real(fd, data, len, flags);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    REAL(int, getsockopt, (int, int, int, void *, socklen_t *))
    FAIL_IF_DUE(GETSOCKOPT);
    return real(fd, level, name, value, len);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    REAL(int, setsockopt, (int, int, int, const void *, socklen_t))
    FAIL_IF_DUE(SETSOCKOPT);
    return real(fd, level, name, value, len);
}

int getpeername(int fd, struct sockaddr *address, socklen_t *len)
{
    REAL(int, getpeername, (int, struct sockaddr *, socklen_t *))
    FAIL_IF_DUE(GETPEERNAME);
    return real(fd, address, len);
}

int shutdown(int fd, int how)
{
    REAL(int, shutdown, (int, int))
    FAIL_IF_DUE(SHUTDOWN);
    return real(fd, how);
}

int epoll_create1(int flags)
{
    REAL(int, epoll_create1, (int))
    FAIL_IF_DUE(EPOLL_CREATE);
    return real(flags);
}

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    REAL(int, epoll_ctl, (int, int, int, struct epoll_event *))
    FAIL_IF_DUE(EPOLL_CTL);
    return real(epoll, op, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    REAL(int, epoll_wait, (int, struct epoll_event *, int, int))
    FAIL_IF_DUE(EPOLL_WAIT);
    FAIL_IF_INTERRUPTED();
    return real(epoll, events, most, timeout);
}

int eventfd(unsigned int count, int flags)
{
    REAL(int, eventfd, (unsigned int, int))
    FAIL_IF_DUE(EVENTFD);
    return real(count, flags);
}

int timerfd_create(clockid_t clock, int flags)
{
    REAL(int, timerfd_create, (clockid_t, int))
    FAIL_IF_DUE(TIMERFD_CREATE);
    return real(clock, flags);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
    REAL(int, timerfd_settime, (int, int, const struct itimerspec *, struct itimerspec *))
    FAIL_IF_DUE(TIMERFD_SETTIME);
    return real(fd, flags, new, old);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    REAL(int, getaddrinfo, (const char *, const char *, const struct addrinfo *, struct addrinfo **))
    int error = fault(GETADDRINFO);
    if (hangs) {
        pthread_mutex_lock(&lock);
        hung++;
        pthread_cond_broadcast(&changed);
        while (!released) {
            pthread_cond_wait(&changed, &lock);
        }
        pthread_mutex_unlock(&lock);
    }
    if (error) {
        return error;
    }
    return real(node && strcmp(node, "api.localhost") == 0 ? "127.0.0.1" : node, service, hints, out);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
    REAL(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))
    int error = fault(PTHREAD_CREATE);
    return error ? error : real(thread, attributes, run, argument);
}

/* Waits until a call hangs in getaddrinfo. */
void shim_net_wait_hung(void)
{
    pthread_mutex_lock(&lock);
    while (hung == 0) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

/* Lets the calls that hang go on, and later ones too. */
void shim_net_release(void)
{
    pthread_mutex_lock(&lock);
    released = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}
