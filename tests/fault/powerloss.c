/*
 * LD_PRELOAD shim: makes kill -9 equal to a power cut for SQLite's files.
 *
 * kill -9 alone proves nothing about fsync: the kernel keeps what a dead process wrote. So beside each file PATH that
 * ends in .db, .db-wal or .db-journal this keeps PATH.durable, the file as a disk would hold it that loses every
 * byte not yet synced. What was written since the last sync is remembered as byte ranges, by inode, so that all
 * descriptors of a file share them; a sync that succeeds copies those ranges to the shadow before it returns.
 *
 * A delete or a rename is durable at once, and a file's name is durable with its first sync. Growth by fallocate
 * needs no hook, since a sync takes over the file's size. See README.md for the restore rule and the limits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FILES_MAX = 256, COPY_BYTES = 1 << 16, SHADOW_PATH = PATH_MAX + 16 };

struct range { off_t start, end; };

/* What was written since the last sync, and the shortest the file has been since then. */
struct dirt {
    struct range *ranges;
    size_t len, cap;
    off_t cut;
};

struct file {
    char *path; /* NULL: the slot is free */
    dev_t dev;
    ino_t ino;
    int source; /* to copy from; kept open, since closing any descriptor drops SQLite's locks on the file */
    int syncing;
    struct dirt dirt;
};

static struct file files[FILES_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t sync_ended = PTHREAD_COND_INITIALIZER;

static const off_t UNCUT = (off_t)(~(unsigned long long)0 >> 1);

/* A shim that cannot keep its shadow must not let a test pass. */
static void die(const char *what, const char *path) {
    dprintf(STDERR_FILENO, "powerloss: %s %s: %s\n", what, path, strerror(errno));
    abort();
}

/* ---- the real calls, which the hooks below hide from this file too ---- */

static int real_open(int dir, const char *path, int flags, mode_t mode) {
    return (int)syscall(SYS_openat, dir, path, flags, mode);
}
static int real_close(int fd) { return (int)syscall(SYS_close, fd); }
static ssize_t real_write(int fd, const void *from, size_t len) { return syscall(SYS_write, fd, from, len); }
static ssize_t real_pwrite(int fd, const void *from, size_t len, off_t at) {
    return syscall(SYS_pwrite64, fd, from, len, at);
}
static int real_ftruncate(int fd, off_t size) { return (int)syscall(SYS_ftruncate, fd, size); }
static int real_unlink(int dir, const char *path, int flags) {
    return (int)syscall(SYS_unlinkat, dir, path, flags);
}
static int real_rename(const char *from, const char *to) {
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* ---- names ---- */

static int is_tracked_name(const char *path) {
    static const char *const ends[] = {".db", ".db-wal", ".db-journal"};
    size_t len = path ? strlen(path) : 0;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end = strlen(ends[i]);
        if (len > end && strcmp(path + len - end, ends[i]) == 0)
            return 1;
    }
    return 0;
}

static char *shadow_of(const char *path, char out[SHADOW_PATH]) {
    snprintf(out, SHADOW_PATH, "%s.durable", path);
    return out;
}

/* The absolute path of a file that exists, however it was named. */
static int resolve(int dir, const char *path, char out[PATH_MAX]) {
    char full[PATH_MAX + 32];
    if (dir == AT_FDCWD || path[0] == '/')
        snprintf(full, sizeof full, "%s", path);
    else
        snprintf(full, sizeof full, "/proc/self/fd/%d/%s", dir, path);
    return realpath(full, out) != NULL;
}

/* ---- the table of files; the lock is held ---- */

static void forget(struct file *file) {
    real_close(file->source);
    free(file->path);
    free(file->dirt.ranges);
    file->path = NULL;
    file->dirt = (struct dirt){.cut = UNCUT};
}

static struct file *find_path(const char *path) {
    for (struct file *file = files; file < files + FILES_MAX; file++)
        if (file->path && strcmp(file->path, path) == 0)
            return file;
    return NULL;
}

static struct file *find_inode(dev_t dev, ino_t ino) {
    for (struct file *file = files; file < files + FILES_MAX; file++)
        if (file->path && file->ino == ino && file->dev == dev)
            return file;
    return NULL;
}

static struct file *find_fd(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return NULL;
    return find_inode(st.st_dev, st.st_ino);
}

static struct file *add(const char *path, const struct stat *st) {
    for (struct file *file = files; file < files + FILES_MAX; file++) {
        if (file->path || file->syncing)
            continue;
        *file = (struct file){.path = strdup(path), .dev = st->st_dev, .ino = st->st_ino, .dirt.cut = UNCUT};
        file->source = real_open(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        if (!file->path || file->source < 0)
            die("cannot track", path);
        return file;
    }
    errno = ENFILE;
    die("too many files at", path);
    return NULL;
}

/* ---- dirt; the lock is held ---- */

static void soil(struct file *file, off_t start, off_t end) {
    struct dirt *dirt = &file->dirt;
    if (dirt->len > 0) {
        struct range *last = &dirt->ranges[dirt->len - 1];
        if (start >= last->start && start <= last->end) {
            last->end = end > last->end ? end : last->end;
            return;
        }
    }
    if (dirt->len == dirt->cap) {
        dirt->cap = dirt->cap ? dirt->cap * 2 : 64;
        dirt->ranges = realloc(dirt->ranges, dirt->cap * sizeof *dirt->ranges);
        if (!dirt->ranges)
            die("out of memory for", file->path);
    }
    dirt->ranges[dirt->len++] = (struct range){start, end};
}

static void cut(struct file *file, off_t size) {
    if (size < file->dirt.cut)
        file->dirt.cut = size;
}

/* ---- copying; the lock is held, so that no write is seen by half ---- */

static void copy(int from, int to, struct range range, const char *path) {
    static char buffer[COPY_BYTES];
    for (off_t at = range.start; at < range.end;) {
        size_t want = range.end - at < COPY_BYTES ? (size_t)(range.end - at) : COPY_BYTES;
        ssize_t got = pread(from, buffer, want, at);
        if (got < 0)
            die("cannot read", path);
        if (got == 0)
            return; /* cut off since */
        if (real_pwrite(to, buffer, (size_t)got, at) != got)
            die("cannot write the shadow of", path);
        at += got;
    }
}

/* A shadow of a file that was there before, made aside so that no half of it is ever taken for the whole. */
static void copy_whole(int from, const char *path, const char *shadow) {
    char aside[SHADOW_PATH + 8];
    snprintf(aside, sizeof aside, "%s.new", shadow);
    int to = real_open(AT_FDCWD, aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (to < 0)
        die("cannot shadow", path);
    copy(from, to, (struct range){0, UNCUT}, path);
    real_close(to);
    if (real_rename(aside, shadow) != 0)
        die("cannot shadow", path);
}

/* Brings to the shadow what a sync that began with `dirt` and `size` has made durable. */
static void make_durable(const struct file *file, const struct dirt *dirt, off_t size) {
    char shadow[SHADOW_PATH];
    struct stat st;
    int to = real_open(AT_FDCWD, shadow_of(file->path, shadow), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (to < 0 || fstat(file->source, &st) != 0)
        die("cannot shadow", file->path);
    if (st.st_size < size)
        size = st.st_size;
    if (dirt->cut < size && real_ftruncate(to, dirt->cut) != 0)
        die("cannot cut the shadow of", file->path);
    if (real_ftruncate(to, size) != 0)
        die("cannot size the shadow of", file->path);
    for (size_t i = 0; i < dirt->len; i++) {
        struct range range = dirt->ranges[i];
        range.end = range.end < size ? range.end : size;
        copy(file->source, to, range, file->path);
    }
    real_close(to);
}

/* ---- what the hooks do ---- */

static void track(int fd, int flags, int was_there) {
    char link[64], path[PATH_MAX], shadow[SHADOW_PATH];
    struct stat st;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0 || fstat(fd, &st) != 0)
        die("cannot follow", link);
    path[len] = 0;
    if (!S_ISREG(st.st_mode) || !is_tracked_name(path))
        return;
    struct file *file = find_inode(st.st_dev, st.st_ino);
    struct file *stale = find_path(path);
    if (stale && stale != file)
        forget(stale);
    if (file && strcmp(file->path, path) != 0) {
        forget(file); /* the inode number is in use again */
        file = NULL;
    }
    if (!file) {
        file = add(path, &st);
        if (access(shadow_of(path, shadow), F_OK) == 0)
            soil(file, 0, st.st_size); /* an earlier process may have left something unsynced */
        else if (was_there)
            copy_whole(file->source, path, shadow);
    }
    if (flags & O_TRUNC)
        cut(file, 0);
}

static int hook_open(int dir, const char *path, int flags, mode_t mode) {
    if (!is_tracked_name(path))
        return real_open(dir, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat st;
    int was_there = fstatat(dir, path, &st, 0) == 0;
    int truncates = was_there && (flags & O_TRUNC);
    if (truncates) { /* shadow it before its content is gone */
        int fd = real_open(dir, path, O_RDONLY | O_CLOEXEC, 0);
        if (fd >= 0) {
            track(fd, 0, 1);
            real_close(fd);
        }
    }
    int fd = real_open(dir, path, flags, mode);
    int fault = errno;
    if (fd >= 0)
        track(fd, flags, was_there);
    pthread_mutex_unlock(&lock);
    errno = fault;
    return fd;
}

/* A write at `at`, or at the descriptor's own place if `at` is negative. */
static ssize_t hook_write(int fd, const void *from, size_t len, off_t at) {
    pthread_mutex_lock(&lock);
    struct file *file = find_fd(fd);
    if (!file) { /* it may block: a pipe, a socket */
        pthread_mutex_unlock(&lock);
        return at < 0 ? real_write(fd, from, len) : real_pwrite(fd, from, len, at);
    }
    ssize_t done = at < 0 ? real_write(fd, from, len) : real_pwrite(fd, from, len, at);
    int fault = errno;
    if (done > 0) {
        off_t end = at < 0 ? lseek(fd, 0, SEEK_CUR) : at + done;
        soil(file, end - done, end);
    }
    pthread_mutex_unlock(&lock);
    errno = fault;
    return done;
}

static int hook_truncate(int fd, off_t size) {
    pthread_mutex_lock(&lock);
    struct file *file = find_fd(fd);
    int result = real_ftruncate(fd, size);
    int fault = errno;
    if (file && result == 0)
        cut(file, size);
    pthread_mutex_unlock(&lock);
    errno = fault;
    return result;
}

/*
 * The ranges are taken before the real sync, so that what others write meanwhile is not made durable by it, and one
 * sync of a file waits for the other, so that none returns while its bytes are still on another's way to the shadow.
 */
static int hook_sync(int fd, long number) {
    struct stat st;
    pthread_mutex_lock(&lock);
    struct file *file = find_fd(fd);
    while (file && file->syncing) {
        pthread_cond_wait(&sync_ended, &lock);
        file = find_fd(fd);
    }
    if (!file || fstat(fd, &st) != 0) {
        pthread_mutex_unlock(&lock);
        return (int)syscall(number, fd);
    }
    struct dirt taken = file->dirt;
    file->dirt = (struct dirt){.cut = UNCUT};
    file->syncing = 1;
    pthread_mutex_unlock(&lock);

    int result = (int)syscall(number, fd);
    int fault = errno;

    pthread_mutex_lock(&lock);
    file->syncing = 0;
    if (file->path && result == 0) /* not deleted meanwhile */
        make_durable(file, &taken, st.st_size);
    else if (file->path) {
        for (size_t i = 0; i < taken.len; i++)
            soil(file, taken.ranges[i].start, taken.ranges[i].end);
        cut(file, taken.cut);
    }
    free(taken.ranges);
    pthread_cond_broadcast(&sync_ended);
    pthread_mutex_unlock(&lock);
    errno = fault;
    return result;
}

static int hook_unlink(int dir, const char *path, int flags) {
    char full[PATH_MAX], shadow[SHADOW_PATH];
    if (!is_tracked_name(path) || (flags & AT_REMOVEDIR))
        return real_unlink(dir, path, flags);
    pthread_mutex_lock(&lock);
    int found = resolve(dir, path, full);
    int result = real_unlink(dir, path, flags);
    int fault = errno;
    if (found && result == 0) {
        struct file *file = find_path(full);
        if (file)
            forget(file);
        real_unlink(AT_FDCWD, shadow_of(full, shadow), 0);
    }
    pthread_mutex_unlock(&lock);
    errno = fault;
    return result;
}

/* A tracked file takes its shadow along; one that was not tracked before counts as durable as it stands. */
static int hook_rename(const char *from, const char *to) {
    char source[PATH_MAX], target[PATH_MAX], before[SHADOW_PATH], after[SHADOW_PATH];
    if (!is_tracked_name(from) && !is_tracked_name(to))
        return real_rename(from, to);
    pthread_mutex_lock(&lock);
    int found = resolve(AT_FDCWD, from, source);
    int result = real_rename(from, to);
    int fault = errno;
    if (found && result == 0 && resolve(AT_FDCWD, to, target) && strcmp(source, target) != 0) {
        struct file *moved = find_path(source), *replaced = find_path(target);
        if (replaced)
            forget(replaced);
        real_unlink(AT_FDCWD, shadow_of(target, after), 0);
        shadow_of(source, before);
        if (!is_tracked_name(to)) {
            if (moved)
                forget(moved);
            real_unlink(AT_FDCWD, before, 0);
        } else if (!is_tracked_name(from)) {
            int fd = real_open(AT_FDCWD, target, O_RDONLY | O_CLOEXEC, 0);
            copy_whole(fd, target, after);
            real_close(fd);
        } else if (moved) {
            free(moved->path);
            if (!(moved->path = strdup(target)))
                die("out of memory for", target);
            real_rename(before, after);
        }
    }
    pthread_mutex_unlock(&lock);
    errno = fault;
    return result;
}

/* ---- the hooks, under every name libc gives them ---- */

static mode_t mode_of(int flags, va_list rest) {
    return (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
}

#define OPEN_HOOK(name, dir_param, dir)                                                                                \
    int name(dir_param const char *path, int flags, ...) {                                                             \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = mode_of(flags, rest);                                                                            \
        va_end(rest);                                                                                                  \
        return hook_open(dir, path, flags, mode);                                                                      \
    }
#define WITH_DIR int dir,
OPEN_HOOK(open, , AT_FDCWD)
OPEN_HOOK(open64, , AT_FDCWD)
OPEN_HOOK(openat, WITH_DIR, dir)
OPEN_HOOK(openat64, WITH_DIR, dir)
int __open_2(const char *path, int flags) { return hook_open(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return hook_open(AT_FDCWD, path, flags, 0); }

ssize_t write(int fd, const void *from, size_t len) { return hook_write(fd, from, len, -1); }

ssize_t pwrite(int fd, const void *from, size_t len, off_t at) {
    return at < 0 ? real_pwrite(fd, from, len, at) : hook_write(fd, from, len, at);
}
ssize_t pwrite64(int fd, const void *from, size_t len, off64_t at) { return pwrite(fd, from, len, at); }

int ftruncate(int fd, off_t size) { return hook_truncate(fd, size); }
int ftruncate64(int fd, off64_t size) { return hook_truncate(fd, size); }

int fsync(int fd) { return hook_sync(fd, SYS_fsync); }
int fdatasync(int fd) { return hook_sync(fd, SYS_fdatasync); }

int unlink(const char *path) { return hook_unlink(AT_FDCWD, path, 0); }
int unlinkat(int dir, const char *path, int flags) { return hook_unlink(dir, path, flags); }
int rename(const char *from, const char *to) { return hook_rename(from, to); }
