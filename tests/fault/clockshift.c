/*
 * An LD_PRELOAD shim: shows a wall clock that is off by as many seconds as stand in the file that KEYGATE_CLOCK_SHIFT names,
 * eight bytes in the machine's own order, which may change at any time; or one that stands still at the second that eight more
 * bytes say. Clocks that only move forward are left alone.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    const char *path = getenv("KEYGATE_CLOCK_SHIFT");
    if (result != 0 || clock != CLOCK_REALTIME || !path)
        return result;
    int64_t shift[2] = {0, 0};
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    long length = fd < 0 ? 0 : syscall(SYS_read, fd, shift, sizeof shift);
    if (length != sizeof shift && length != sizeof shift[0])
        abort(); /* a shim that cannot shift must not let a test pass */
    syscall(SYS_close, fd);
    if (length == sizeof shift)
        *time = (struct timespec){.tv_sec = shift[1]};
    time->tv_sec += shift[0];
    return 0;
}
