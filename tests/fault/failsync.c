/*
 * An LD_PRELOAD shim: while the file that KEYGATE_FAIL_SYNC names is there, every fsync and fdatasync fails with EIO, as on a
 * disk that has gone bad. What was written stays written, as far as the kernel knows.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sync_or_fail(int fd, long number) {
    const char *path = getenv("KEYGATE_FAIL_SYNC");
    if (path && access(path, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(number, fd);
}

int fsync(int fd) { return sync_or_fail(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_or_fail(fd, SYS_fdatasync); }
