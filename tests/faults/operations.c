/* The operations on files that a program asks the C library for. */
#include "shim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdarg.h>

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* Opening */

static unsigned class_of(int dir, const char *path, int flags) {
    struct stat there;
    int kept = errno;
    int exists = !sys(SYS_newfstatat, dir, path, &there, 0);
    errno = kept;
    if (exists && S_ISDIR(there.st_mode)) return OPEN_READ;
    if ((flags & O_CREAT) && !exists) return CREATE;
    if ((flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY) return CREATE;
    return (flags & O_ACCMODE) == O_RDONLY ? OPEN_READ : OPEN_WRITE;
}

int open_at(int dir, const char *path, int flags, mode_t mode) {
    char seen[PATH_MAX];
    if (!watched(dir, path, seen)) return sys(SYS_openat, dir, path, flags, mode);
    unsigned class = class_of(dir, path, flags);
    int fd = -1;
    if (enter(class) != FAIL) {
        fd = sys(SYS_openat, dir, path, flags, mode);
        if (fd >= 0 && class != OPEN_READ) note('o', flags, file_of(fd), mode, seen, 0, 0, 0);
    }
    leave();
    return fd;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); \
    }

int open(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_at(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE(flags) return open_at(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE(flags) return open_at(dir, path, flags, mode); }
int __open_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return open_at(AT_FDCWD, path, flags, 0); }
int __openat_2(int dir, const char *path, int flags) { return open_at(dir, path, flags, 0); }
int __openat64_2(int dir, const char *path, int flags) { return open_at(dir, path, flags, 0); }
int creat(const char *path, mode_t mode) { return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

static FILE *reopened(int fd, const char *how) {
    FILE *made = fd < 0 ? NULL : fdopen(fd, how);
    if (fd >= 0 && !made) sys(SYS_close, fd);
    return made;
}

static int flags_of(const char *how) {
    int flags = strchr(how, '+') ? O_RDWR : *how == 'r' ? O_RDONLY : O_WRONLY;
    if (*how == 'w') flags |= O_CREAT | O_TRUNC;
    if (*how == 'a') flags |= O_CREAT | O_APPEND;
    if (strchr(how, 'x')) flags |= O_EXCL;
    if (strchr(how, 'e')) flags |= O_CLOEXEC;
    return flags;
}

FILE *fopen(const char *path, const char *how) {
    char seen[PATH_MAX];
    REAL(fopen);
    if (!watched(AT_FDCWD, path, seen)) return real(path, how);
    return reopened(open_at(AT_FDCWD, path, flags_of(how), 0666), how);
}
FILE *fopen64(const char *path, const char *how) { return fopen(path, how); }

FILE *freopen(const char *path, const char *how, FILE *file) {
    char seen[PATH_MAX];
    REAL(freopen);
    if (!watched(AT_FDCWD, path, seen)) return real(path, how, file);
    int fd = open_at(AT_FDCWD, path, flags_of(how), 0666);
    if (fd < 0) return NULL;
    fflush(file);
    dup2(fd, fileno(file));
    sys(SYS_close, fd);
    return file;
}
FILE *freopen64(const char *path, const char *how, FILE *file) { return freopen(path, how, file); }

#define TEMPORARY(name, call, ...) \
    int name(char *path, ##__VA_ARGS__) { \
        char seen[PATH_MAX]; \
        static int (*real)(char *, ...); \
        if (!real) real = (int (*)(char *, ...))dlsym(RTLD_NEXT, #name); \
        if (!watched(AT_FDCWD, path, seen)) return real call; \
        int fd = -1; \
        if (enter(CREATE) != FAIL) { \
            fd = real call; \
            busy = 0; watched(AT_FDCWD, path, seen); busy = 1; \
            if (fd >= 0) note('o', O_CREAT | O_EXCL | O_RDWR, file_of(fd), 0600, seen, 0, 0, 0); \
        } \
        leave(); \
        return fd; \
    }
TEMPORARY(mkstemp, (path))
TEMPORARY(mkstemp64, (path))
TEMPORARY(mkostemp, (path, flags), int flags)
TEMPORARY(mkostemp64, (path, flags), int flags)
TEMPORARY(mkstemps, (path, length), int length)
TEMPORARY(mkstemps64, (path, length), int length)
TEMPORARY(mkostemps, (path, length, flags), int length, int flags)
TEMPORARY(mkostemps64, (path, length, flags), int length, int flags)

/* Writing */

static ssize_t put(int fd, const void *data, size_t size, off_t at) {  /* at -1: where it stands */
    char seen[PATH_MAX];
    if (!watched_fd(fd, seen))
        return at < 0 ? sys(SYS_write, fd, data, size) : sys(SYS_pwrite64, fd, data, size, at);
    ssize_t done = -1;
    int what = enter(WRITE);
    if (what != FAIL) {
        size_t wanted = what == TEAR ? size / 2 : size;
        done = at < 0 ? sys(SYS_write, fd, data, wanted) : sys(SYS_pwrite64, fd, data, wanted, at);
        if (what == TEAR) sys(SYS_kill, sys(SYS_getpid), SIGKILL);
        if (done > 0) {
            off_t from = at < 0 ? sys(SYS_lseek, fd, 0, SEEK_CUR) - done : at;
            note('w', 0, file_of(fd), from, seen, 0, data, done);
        }
    }
    leave();
    return done;
}

ssize_t write(int fd, const void *data, size_t size) { return put(fd, data, size, -1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return put(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off_t at) { return put(fd, data, size, at); }

static ssize_t put_parts(int fd, const struct iovec *parts, int count, off_t at) {
    size_t size = 0, done = 0;
    for (int i = 0; i < count; i++) size += parts[i].iov_len;
    char *whole = malloc(size + 1);
    if (!whole) return errno = ENOMEM, -1;
    for (int i = 0; i < count; done += parts[i++].iov_len)
        memcpy(whole + done, parts[i].iov_base, parts[i].iov_len);
    ssize_t written = put(fd, whole, size, at);
    free(whole);
    return written;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char seen[PATH_MAX];
    if (!watched_fd(fd, seen)) return sys(SYS_writev, fd, parts, count);
    return put_parts(fd, parts, count, -1);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    return put_parts(fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) {
    return put_parts(fd, parts, count, at);
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    char seen[PATH_MAX];
    REAL(fwrite);
    if (!watched_fd(fileno(file), seen)) return real(data, size, count, file);
    fflush(file);
    size_t left = size * count;
    while (left) {
        ssize_t done = put(fileno(file), (const char *)data + size * count - left, left, -1);
        if (done < 0) return size ? (size * count - left) / size : 0;
        left -= done;
    }
    return count;
}

static ssize_t copied(int out, int in, off_t *from, off_t *to, size_t size) {
    char part[1 << 16];
    size_t wanted = size < sizeof part ? size : sizeof part;
    ssize_t got = from ? sys(SYS_pread64, in, part, wanted, *from) : sys(SYS_read, in, part, wanted);
    if (got <= 0) return got;
    ssize_t done = put(out, part, got, to ? *to : -1);
    if (done > 0 && from) *from += done;
    if (done > 0 && to) *to += done;
    return done;
}

ssize_t sendfile(int out, int in, off_t *from, size_t size) {
    char seen[PATH_MAX];
    if (!watched_fd(out, seen)) return sys(SYS_sendfile, out, in, from, size);
    return copied(out, in, from, NULL, size);
}
ssize_t sendfile64(int out, int in, off_t *from, size_t size) { return sendfile(out, in, from, size); }
ssize_t copy_file_range(int in, off_t *from, int out, off_t *to, size_t size, unsigned flags) {
    char seen[PATH_MAX];
    if (!watched_fd(out, seen)) return sys(SYS_copy_file_range, in, from, out, to, size, flags);
    return copied(out, in, from, to, size);
}

/* Everything else that changes a file whose descriptor is at hand */

#define BY_FD(class, op, offset, call) \
    char seen[PATH_MAX]; \
    if (!watched_fd(fd, seen)) return call; \
    long done = -1; \
    if (enter(class) != FAIL) { \
        done = call; \
        if (!done && op) note(op, 0, file_of(fd), offset, seen, 0, 0, 0); \
    } \
    leave(); \
    return done

int ftruncate(int fd, off_t size) { BY_FD(TRUNCATE, 't', size, sys(SYS_ftruncate, fd, size)); }
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }
int fallocate(int fd, int mode, off_t at, off_t size) {
    const int op = mode ? 0 : 'a';
    BY_FD(TRUNCATE, op, at + size, sys(SYS_fallocate, fd, mode, at, size));
}
int fallocate64(int fd, int mode, off_t at, off_t size) { return fallocate(fd, mode, at, size); }
int posix_fallocate(int fd, off_t at, off_t size) { return fallocate(fd, 0, at, size) ? errno : 0; }
int posix_fallocate64(int fd, off_t at, off_t size) { return posix_fallocate(fd, at, size); }
int fsync(int fd) { BY_FD(SYNC, 's', 0, sys(SYS_fsync, fd)); }
int fdatasync(int fd) { BY_FD(SYNC, 's', 0, sys(SYS_fdatasync, fd)); }
int syncfs(int fd) { BY_FD(SYNC, 'S', 0, sys(SYS_syncfs, fd)); }
int fchmod(int fd, mode_t mode) { BY_FD(META, 0, 0, sys(SYS_fchmod, fd, mode)); }
int futimens(int fd, const struct timespec when[2]) {
    BY_FD(META, 0, 0, sys(SYS_utimensat, fd, NULL, when, 0));
}
int close(int fd) {
    char seen[PATH_MAX];
    int flags = sys(SYS_fcntl, fd, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || !watched_fd(fd, seen))
        return sys(SYS_close, fd);
    int what = enter(CLOSE), error = errno;
    int done = sys(SYS_close, fd);  /* it is closed also where that fails */
    if (what == FAIL) errno = error, done = -1;
    leave();
    return done;
}

/* Names */

#define BY_PATH(class, op, flags, dir, path, call) \
    char seen[PATH_MAX]; \
    if (!watched(dir, path, seen)) return call; \
    long done = -1; \
    if (enter(class) != FAIL) { \
        done = call; \
        if (!done && op) note(op, flags, 0, 0, seen, 0, 0, 0); \
    } \
    leave(); \
    return done

int unlinkat(int dir, const char *path, int flags) {
    const int op = flags & AT_REMOVEDIR ? 'd' : 'u';
    BY_PATH(op == 'd' ? RMDIR : UNLINK, op, 0, dir, path, sys(SYS_unlinkat, dir, path, flags));
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    int done = unlinkat(AT_FDCWD, path, 0);
    return done && (errno == EISDIR || errno == EPERM) ? rmdir(path) : done;
}
int mkdirat(int dir, const char *path, mode_t mode) {
    BY_PATH(MKDIR, 'm', mode, dir, path, sys(SYS_mkdirat, dir, path, mode));
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
char *mkdtemp(char *path) {
    char seen[PATH_MAX];
    REAL(mkdtemp);
    if (!watched(AT_FDCWD, path, seen)) return real(path);
    char *made = NULL;
    if (enter(MKDIR) != FAIL && (made = real(path))) {
        busy = 0, watched(AT_FDCWD, path, seen), busy = 1;
        note('m', 0700, 0, 0, seen, 0, 0, 0);
    }
    leave();
    return made;
}
int truncate(const char *path, off_t size) {
    int fd = open_at(AT_FDCWD, path, O_WRONLY, 0);
    if (fd < 0) return -1;
    int done = ftruncate(fd, size), error = errno;
    sys(SYS_close, fd);
    errno = error;
    return done;
}
int truncate64(const char *path, off_t size) { return truncate(path, size); }
int fchmodat(int dir, const char *path, mode_t mode, int flags) {
    (void)flags;
    BY_PATH(META, 0, 0, dir, path, sys(SYS_fchmodat, dir, path, mode));
}
int chmod(const char *path, mode_t mode) { return fchmodat(AT_FDCWD, path, mode, 0); }
int utimensat(int dir, const char *path, const struct timespec when[2], int flags) {
    BY_PATH(META, 0, 0, dir, path, sys(SYS_utimensat, dir, path, when, flags));
}

#define BY_TWO(class, op, flags, dir, path, other_dir, other, call) \
    char seen[PATH_MAX] = "", too[PATH_MAX] = ""; \
    int one = watched(dir, path, seen), two = watched(other_dir, other, too); \
    if (!one && !two) return call; \
    long done = -1; \
    if (enter(class) != FAIL) { \
        done = call; \
        if (!done) note(op, flags, 0, 0, one ? seen : "/", two ? too : "/", 0, 0); \
    } \
    leave(); \
    return done

int renameat2(int dir, const char *path, int other_dir, const char *other, unsigned flags) {
    BY_TWO(RENAME, 'r', flags, dir, path, other_dir, other,
           sys(SYS_renameat2, dir, path, other_dir, other, flags));
}
int renameat(int dir, const char *path, int other_dir, const char *other) {
    return renameat2(dir, path, other_dir, other, 0);
}
int rename(const char *path, const char *other) {
    return renameat2(AT_FDCWD, path, AT_FDCWD, other, 0);
}
int linkat(int dir, const char *path, int other_dir, const char *other, int flags) {
    BY_TWO(LINK, 'l', flags, dir, path, other_dir, other,
           sys(SYS_linkat, dir, path, other_dir, other, flags));
}
int link(const char *path, const char *other) { return linkat(AT_FDCWD, path, AT_FDCWD, other, 0); }
int symlinkat(const char *to, int dir, const char *path) {
    char seen[PATH_MAX];
    if (!watched(dir, path, seen)) return sys(SYS_symlinkat, to, dir, path);
    int done = -1;
    if (enter(LINK) != FAIL) {
        done = sys(SYS_symlinkat, to, dir, path);
        if (!done) note('y', 0, 0, 0, seen, 0, to, strlen(to));
    }
    leave();
    return done;
}
int symlink(const char *to, const char *path) { return symlinkat(to, AT_FDCWD, path); }

/* Reading */

#define READING(call) \
    char seen[PATH_MAX]; \
    if (!watched_fd(fd, seen)) return call; \
    ssize_t done = enter(READ) == FAIL ? -1 : call; \
    leave(); \
    return done

ssize_t read(int fd, void *into, size_t size) { READING(sys(SYS_read, fd, into, size)); }
ssize_t pread(int fd, void *into, size_t size, off_t at) { READING(sys(SYS_pread64, fd, into, size, at)); }
ssize_t pread64(int fd, void *into, size_t size, off_t at) { return pread(fd, into, size, at); }
ssize_t readv(int fd, const struct iovec *parts, int count) { READING(sys(SYS_readv, fd, parts, count)); }

DIR *opendir(const char *path) {
    char seen[PATH_MAX];
    REAL(opendir);
    if (!watched(AT_FDCWD, path, seen)) return real(path);
    DIR *found = enter(LIST) == FAIL ? NULL : real(path);
    leave();
    return found;
}
DIR *fdopendir(int fd) {
    char seen[PATH_MAX];
    REAL(fdopendir);
    if (!watched_fd(fd, seen)) return real(fd);
    DIR *found = enter(LIST) == FAIL ? NULL : real(fd);
    leave();
    return found;
}

/* Looking */

#define LOOKING(name, dir, path, call, ...) \
    int name(__VA_ARGS__) { \
        char seen[PATH_MAX]; \
        REAL(name); \
        if (!state || !state->armed || !(state->classes & LOOK) || !watched(dir, path, seen)) \
            return real call; \
        int done = enter(LOOK) == FAIL ? -1 : real call; \
        leave(); \
        return done; \
    }
LOOKING(stat, AT_FDCWD, path, (path, found), const char *path, struct stat *found)
LOOKING(stat64, AT_FDCWD, path, (path, found), const char *path, struct stat64 *found)
LOOKING(lstat, AT_FDCWD, path, (path, found), const char *path, struct stat *found)
LOOKING(lstat64, AT_FDCWD, path, (path, found), const char *path, struct stat64 *found)
LOOKING(fstatat, dir, path, (dir, path, found, flags), int dir, const char *path, struct stat *found, int flags)
LOOKING(fstatat64, dir, path, (dir, path, found, flags), int dir, const char *path, struct stat64 *found, int flags)
LOOKING(statx, dir, path, (dir, path, flags, mask, found), int dir, const char *path, int flags, unsigned mask, struct statx *found)
