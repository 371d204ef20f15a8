/*
 * LD_PRELOAD, before libfaketime: that (0.9.10) moves absolute timers of every clock by the offset of the wall clock, also
 * those on CLOCK_BOOTTIME, which it leaves alone. Here they go to the kernel as they are.
 */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
    return (int)syscall(SYS_timerfd_settime, fd, flags, new, old);
}
