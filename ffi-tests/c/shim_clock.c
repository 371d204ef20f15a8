/*
 * LD_PRELOAD: clocks that a test moves. What is not simulated of a suspend: the kernel's own timers of TCP, the network
 * card, and the sockets of the peer; here all of them go on.
 *
 *   GWA_SHIM_SPEED=n             time runs n times as fast for the process: all clocks, and every wait of a thread
 *   shim_clock_step(boot, wall)  CLOCK_BOOTTIME and CLOCK_REALTIME jump by so many milliseconds, CLOCK_MONOTONIC does not.
 *                                Timers on CLOCK_BOOTTIME that end meanwhile end now, as after a suspend, and
 *                                those with TFD_TIMER_CANCEL_ON_SET give notice of the jump.
 *
 * Seen are calls through libc's symbols, which is how std, mio and the library make all of theirs: clock_gettime,
 * timerfd_settime, epoll_wait, poll, and the futex that std waits by, a syscall(2). Waits of C programs by
 * pthread_cond_timedwait are not changed: they take the clock by syscall(2) where they want the true one.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NS 1000000000ll
#define TIMERS 8192

static long long speed = 1;
/* Where the clocks were when the process began, in true nanoseconds. */
static long long origin_wall, origin_boot, origin_awake;
static long long boot_step, wall_step;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* When the timers that are set end, in nanoseconds of the simulated clock; 0: not set. By descriptor. */
static long long timers[TIMERS];
/* Which of them are to be told when a clock jumps (TFD_TIMER_CANCEL_ON_SET). */
static char watches[TIMERS];
static int (*real_settime)(int, int, const struct itimerspec *, struct itimerspec *);
static long (*real_syscall)(long, ...);

static long long true_now(clockid_t clock)
{
    struct timespec time;
    real_syscall(SYS_clock_gettime, clock, &time);
    return time.tv_sec * NS + time.tv_nsec;
}

static struct timespec timespec_of(long long ns)
{
    struct timespec time = {ns / NS, ns % NS};
    return time;
}

__attribute__((constructor)) static void begin(void)
{
    *(void **)(&real_syscall) = dlsym(RTLD_NEXT, "syscall");
    *(void **)(&real_settime) = dlsym(RTLD_NEXT, "timerfd_settime");
    if (getenv("GWA_SHIM_SPEED")) {
        speed = strtol(getenv("GWA_SHIM_SPEED"), NULL, 10);
    }
    origin_wall = true_now(CLOCK_REALTIME);
    origin_boot = true_now(CLOCK_BOOTTIME);
    origin_awake = true_now(CLOCK_MONOTONIC);
}

/* What the clock shows. */
static long long shown(clockid_t clock)
{
    long long now = true_now(clock);
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
        return origin_wall + (now - origin_wall) * speed + __atomic_load_n(&wall_step, __ATOMIC_SEQ_CST);
    case CLOCK_BOOTTIME:
        return origin_boot + (now - origin_boot) * speed + __atomic_load_n(&boot_step, __ATOMIC_SEQ_CST);
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
        return origin_awake + (now - origin_awake) * speed;
    default:
        return now;
    }
}

/* When a simulated time is, on the true clock. */
static long long true_boot(long long time)
{
    return origin_boot + (time - __atomic_load_n(&boot_step, __ATOMIC_SEQ_CST) - origin_boot) / speed;
}

static long long true_awake(long long time)
{
    return origin_awake + (time - origin_awake) / speed;
}

/* A wait of so many milliseconds; not shorter than asked for. */
static int true_wait(int ms)
{
    return ms <= 0 ? ms : (int)((ms + speed - 1) / speed);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    *time = timespec_of(shown(clock));
    return 0;
}

/* Under the lock. */
static int arm(int fd)
{
    struct itimerspec spec = {{0, 0}, {0, 0}};
    if (timers[fd]) {
        long long at = true_boot(timers[fd]);
        /* A time that is not after the machine's start would stop it. */
        spec.it_value = timespec_of(at > 0 ? at : 1);
    }
    return real_settime(fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* The library's timers are all absolute, on CLOCK_BOOTTIME, without an interval; but for those that watch the clocks. */
int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
    int result;
    if (!(flags & TFD_TIMER_ABSTIME) || old || fd >= TIMERS) {
        abort();
    }
    if (flags & TFD_TIMER_CANCEL_ON_SET) {
        pthread_mutex_lock(&lock);
        watches[fd] = 1;
        pthread_mutex_unlock(&lock);
        return real_settime(fd, flags, new, old);
    }
    pthread_mutex_lock(&lock);
    timers[fd] = new->it_value.tv_sec > (1ll << 62) / NS ? 1ll << 62 : new->it_value.tv_sec * NS + new->it_value.tv_nsec;
    result = arm(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

/* A timer that is closed is no longer set: its number may be that of another thing soon. */
int close(int fd)
{
    static int (*real)(int);
    if (!real) {
        *(void **)(&real) = dlsym(RTLD_NEXT, "close");
    }
    if (fd >= 0 && fd < TIMERS) {
        pthread_mutex_lock(&lock);
        timers[fd] = watches[fd] = 0;
        pthread_mutex_unlock(&lock);
    }
    return real(fd);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    static int (*real)(int, struct epoll_event *, int, int);
    if (!real) {
        *(void **)(&real) = dlsym(RTLD_NEXT, "epoll_wait");
    }
    return real(epoll, events, most, true_wait(timeout));
}

int poll(struct pollfd *set, nfds_t count, int timeout)
{
    static int (*real)(struct pollfd *, nfds_t, int);
    if (!real) {
        *(void **)(&real) = dlsym(RTLD_NEXT, "poll");
    }
    return real(set, count, true_wait(timeout));
}

/* std waits on futexes until a time of CLOCK_MONOTONIC. */
long syscall(long number, ...)
{
    long a[6];
    int i;
    va_list arguments;
    struct timespec until;
    va_start(arguments, number);
    for (i = 0; i < 6; i++) {
        a[i] = va_arg(arguments, long);
    }
    va_end(arguments);
    if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && !(a[1] & FUTEX_CLOCK_REALTIME) && a[3]) {
        const struct timespec *asked = (const struct timespec *)a[3];
        until = timespec_of(true_awake(asked->tv_sec * NS + asked->tv_nsec));
        a[3] = (long)&until;
    }
    return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

void shim_clock_step(long boot_ms, long wall_ms)
{
    int fd;
    const struct itimerspec past = {{0, 0}, {0, 1}};
    pthread_mutex_lock(&lock);
    __atomic_add_fetch(&boot_step, boot_ms * 1000000ll, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&wall_step, wall_ms * 1000000ll, __ATOMIC_SEQ_CST);
    for (fd = 0; fd < TIMERS; fd++) {
        if (timers[fd]) {
            arm(fd);
        }
        if (watches[fd]) {
            real_settime(fd, TFD_TIMER_ABSTIME, &past, NULL); /* readable, as the kernel would make it */
        }
    }
    pthread_mutex_unlock(&lock);
}
