/*
 * An LD_PRELOAD shim: shows a wall clock that is off by as many seconds as stand in the file that KEYGATE_CLOCK_SHIFT names,
 * eight bytes in the machine's own order, which may change at any time. Clocks that only move forward are left alone.
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
    int64_t shift = 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0 || syscall(SYS_read, fd, &shift, sizeof shift) != sizeof shift)
        abort(); /* a shim that cannot shift must not let a test pass */
    syscall(SYS_close, fd);
    time->tv_sec += shift;
    return 0;
}
