/* File operations below one folder: counted, journalled, and made to fail or to be the last.
 *
 * Preloaded into a process (LD_PRELOAD), this stands between it and the C library, so that what
 * PyTorch, Arrow and safetensors do to files counts too. Nothing is touched until `faults_arm` is
 * called, or the variable FAULTS is set when the process starts:
 *
 *     FAULTS="ROOT|CLASSES|ACTION|AT|STICKY|JOURNAL"
 *
 * ROOT     the folder that is watched, without links in its path
 * CLASSES  which operations are counted, a sum of the numbers below
 * ACTION   0 nothing; -1 kill the process; -2 write one half of the data, then kill; else an errno
 * AT       number of the operation that this happens to, from 0; -1 for none
 * STICKY   1 if all later operations of these classes fail too
 * JOURNAL  a file outside of ROOT to which every operation that changes or syncs anything is added
 *
 * The count lies in memory that forked children share. tests/faults/journal.py reads the journal.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/prctl.h>
#include <sys/ucontext.h>
#include <sys/uio.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <unistd.h>

enum {
    OPEN_READ = 1, OPEN_WRITE = 2, CREATE = 4, READ = 8, WRITE = 16, TRUNCATE = 32, SYNC = 64,
    RENAME = 128, LINK = 256, UNLINK = 512, MKDIR = 1024, RMDIR = 2048, LIST = 4096, META = 8192,
    CLOSE = 16384, LOOK = 32768  /* to close what was open to write */
};
enum { KILL = -1, HALF = -2, GO = 0, FAIL = 1, TEAR = 2 };

struct state {
    long counted, fired, at;
    int armed, action, sticky, journal;
    unsigned classes, seen;
    size_t length;
    char root[PATH_MAX];
};
struct record {  /* followed by two paths, relative to the root, and data */
    uint32_t op, flags, first, second;
    uint64_t file;
    int64_t offset;
    uint64_t size;
};

/* A call of the kernel's that nobody traps: everything here goes through it. */
long faults_call(long number, long a, long b, long c, long d, long e, long f);
#if defined __x86_64__
__asm__(".text\n.globl faults_call\nfaults_call:\n mov %rdi,%rax\n mov %rsi,%rdi\n mov %rdx,%rsi\n"
        " mov %rcx,%rdx\n mov %r8,%r10\n mov %r9,%r8\n mov 8(%rsp),%r9\n syscall\n ret\n");
#elif defined __aarch64__
__asm__(".text\n.globl faults_call\nfaults_call:\n mov x8,x0\n mov x0,x1\n mov x1,x2\n mov x2,x3\n"
        " mov x3,x4\n mov x4,x5\n mov x5,x6\n svc 0\n ret\n");
#else
#error "file operations are intercepted on x86_64 and aarch64 alone"
#endif

static long checked(long found) { return found < 0 && found > -4096 ? errno = -found, -1 : found; }
#define PICK(_0, n, a, b, c, d, e, f, ...) \
    checked(faults_call(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))
#define sys(...) PICK(0, __VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

static struct state *state;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static __thread int busy;

static void lock(void) { pthread_mutex_lock(&turn); }
static void unlock(void) { pthread_mutex_unlock(&turn); }

static void trap(void);
static void trapped(int signal, siginfo_t *about, void *context);

void faults_arm(const char *root, unsigned classes, int action, long at, int sticky,
                const char *journal) {
    strncpy(state->root, root, sizeof state->root - 1);
    state->length = strlen(state->root);
    state->classes = classes, state->action = action, state->at = at, state->sticky = sticky;
    state->counted = state->fired = 0, state->seen = 0;
    state->journal = -1;
    if (journal && *journal)
        state->journal = sys(SYS_openat, AT_FDCWD, journal,
                                 O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    trap();
    state->armed = 1;
}

void faults_disarm(void) { state->armed = 0; }
long faults_counted(void) { return state->counted; }
long faults_fired(void) { return state->fired; }
unsigned faults_class(void) { return state->seen; }  /* of the operation that it happened to */

__attribute__((constructor)) static void start(void) {
    state = mmap(NULL, sizeof *state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (state == MAP_FAILED) _exit(125);
    pthread_atfork(lock, unlock, unlock);
    /* Before Python looks, which would give the signal its default action back in due course. */
    struct sigaction how = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSYS, &how, NULL);
    char *said = getenv("FAULTS");
    if (!said) return;
    static char copy[2 * PATH_MAX + 100];
    char *part[6] = {0}, *rest = copy;
    strncpy(copy, said, sizeof copy - 1);
    for (int i = 0; i < 6 && rest; i++) part[i] = strsep(&rest, "|");
    if (!part[5]) _exit(125);
    faults_arm(part[0], strtoul(part[1], 0, 10), atoi(part[2]), atol(part[3]), atoi(part[4]),
               part[5]);
}

/* Which paths are watched */

static int fd_path(int fd, char *out) {
    char name[32];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    long n = sys(SYS_readlinkat, AT_FDCWD, name, out, PATH_MAX - 1);
    if (n < 0) return 0;
    out[n] = 0;
    return 1;
}

static const char *below(const char *full) {  /* the path as seen from the root, or NULL */
    size_t n = state->length;
    if (strncmp(full, state->root, n) || (full[n] && full[n] != '/')) return NULL;
    return full[n] ? full + n + 1 : full + n;
}

static int odd(const char *path) {
    return strstr(path, "//") || strstr(path, "/./") || strstr(path, "/..") ||
           !strncmp(path, "/proc/", 6) || (strlen(path) > 1 && !strcmp(path + strlen(path) - 2, "/."));
}

/* Write the watched path as seen from the root into `out`, and return 1; 0 if it is not watched. */
static int watched(int dir, const char *path, char *out) {
    char full[3 * PATH_MAX], parent[PATH_MAX];
    if (!state || !state->armed || busy || !path) return 0;
    int kept = errno;
    if (*path == '/') full[0] = 0;
    else if (dir == AT_FDCWD) { if (!getcwd(full, PATH_MAX)) return errno = kept, 0; }
    else if (!fd_path(dir, full)) return errno = kept, 0;
    if (*path != '/' && *path) strcat(full, "/");
    if (strlen(path) >= PATH_MAX) return errno = kept, 0;
    strcat(full, path);
    size_t n = strlen(full);
    while (n > 1 && full[n - 1] == '/') full[--n] = 0;
    if (odd(full)) {
        char *slash = strrchr(full, '/');
        if (!strcmp(slash, "/.") || !strcmp(slash, "/..")) {
            if (!realpath(full, parent)) return errno = kept, 0;
            strcpy(full, parent);
        } else {
            *slash = 0;
            if (!realpath(*full ? full : "/", parent)) return errno = kept, 0;
            memmove(full + strlen(parent) + 1, slash + 1, strlen(slash + 1) + 1);
            memcpy(full, parent, strlen(parent));
            full[strlen(parent)] = '/';
        }
    }
    const char *found = below(full);
    if (found) strncpy(out, found, PATH_MAX - 1), out[PATH_MAX - 1] = 0;
    errno = kept;
    return found != NULL;
}

static int watched_fd(int fd, char *out) {
    char full[PATH_MAX];
    if (!state || !state->armed || busy) return 0;
    int kept = errno, is = fd_path(fd, full);
    const char *found = is ? below(full) : NULL;
    if (found) strncpy(out, found, PATH_MAX - 1), out[PATH_MAX - 1] = 0;
    errno = kept;
    return found != NULL;
}

/* Counting and noting */

/* Take the turn and say whether the operation goes on, fails (errno is set) or is torn. */
static int enter(unsigned class) {
    lock();
    busy = 1;
    if (!(class & state->classes)) return GO;
    long now = __atomic_fetch_add(&state->counted, 1, __ATOMIC_SEQ_CST);
    if (state->at < 0 || !state->action || now < state->at) return GO;
    if (now > state->at && !(state->sticky && state->action > 0)) return GO;
    if (!state->fired++) state->seen = class;
    if (state->action == KILL) sys(SYS_kill, sys(SYS_getpid), SIGKILL);
    if (state->action == HALF) return TEAR;
    errno = state->action;
    return FAIL;
}

static void leave(void) { busy = 0; unlock(); }

static void note(char op, unsigned flags, uint64_t file, int64_t offset, const char *first,
                 const char *second, const void *data, size_t size) {
    if (state->journal < 0) return;
    int kept = errno;
    struct record made = {op, flags, first ? strlen(first) : 0, second ? strlen(second) : 0, file,
                          offset, data ? size : 0};
    struct iovec parts[] = {{&made, sizeof made}, {(void *)first, made.first},
                            {(void *)second, made.second}, {(void *)data, made.size}};
    if (sys(SYS_writev, state->journal, parts, 4) < 0) _exit(125);
    errno = kept;
}

static uint64_t file_of(int fd) {
    struct stat found;
    int kept = errno, wrong = fstat(fd, &found);
    errno = kept;
    return wrong ? 0 : found.st_ino;
}

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

static int open_at(int dir, const char *path, int flags, mode_t mode) {
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

/* Rust's crates call the kernel by number, through `syscall` or by an instruction of their own. */
static long by_number(long number, const long a[6]) {
    switch (number) {
        case SYS_openat: return open_at(a[0], (char *)a[1], a[2], a[3]);
        case SYS_write: return write(a[0], (void *)a[1], a[2]);
        case SYS_writev: return writev(a[0], (void *)a[1], a[2]);
        case SYS_pwrite64: return pwrite(a[0], (void *)a[1], a[2], a[3]);
        case SYS_copy_file_range:
            return copy_file_range(a[0], (void *)a[1], a[2], (void *)a[3], a[4], a[5]);
        case SYS_ftruncate: return ftruncate(a[0], a[1]);
        case SYS_fallocate: return fallocate(a[0], a[1], a[2], a[3]);
        case SYS_fsync: return fsync(a[0]);
        case SYS_fdatasync: return fdatasync(a[0]);
        case SYS_renameat: return renameat(a[0], (char *)a[1], a[2], (char *)a[3]);
        case SYS_renameat2: return renameat2(a[0], (char *)a[1], a[2], (char *)a[3], a[4]);
        case SYS_linkat: return linkat(a[0], (char *)a[1], a[2], (char *)a[3], a[4]);
        case SYS_symlinkat: return symlinkat((char *)a[0], a[1], (char *)a[2]);
        case SYS_unlinkat: return unlinkat(a[0], (char *)a[1], a[2]);
        case SYS_mkdirat: return mkdirat(a[0], (char *)a[1], a[2]);
        case SYS_close: return close(a[0]);
        default: return sys(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
}

long syscall(long number, ...) {
    long a[6];
    va_list given;
    va_start(given, number);
    for (int i = 0; i < 6; i++) a[i] = va_arg(given, long);
    va_end(given);
    return by_number(number, a);
}

static void trapped(int signal, siginfo_t *about, void *context) {
    (void)signal;
    mcontext_t *at = &((ucontext_t *)context)->uc_mcontext;
    int kept = errno;
#ifdef __x86_64__
    const greg_t *r = at->gregs;
    const long a[6] = {r[REG_RDI], r[REG_RSI], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9]};
    long found = by_number(about->si_syscall, a);
    at->gregs[REG_RAX] = found == -1 ? -errno : found;
#else
    long a[6];
    memcpy(a, at->regs, sizeof a);
    long found = by_number(about->si_syscall, a);
    at->regs[0] = found == -1 ? -errno : found;
#endif
    errno = kept;
}

/* Trap what changes names or syncs, unless `faults_call` makes the call; other calls by an
 * instruction pass unseen, which the journal would show, as what it tells differs from the disk. */
static void trap(void) {
    static int done;
    if (done++) return;
    const uint64_t stub = (uint64_t)&faults_call;
    const uint32_t low = stub, high = stub >> 32;
#define LOAD(field, more) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + more)
#define ON(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP)
    struct sock_filter rules[] = {
        LOAD(instruction_pointer, 4), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 4),
        LOAD(instruction_pointer, 0), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, low, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, low + 64, 1, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        LOAD(nr, 0), ON(SYS_renameat), ON(SYS_renameat2), ON(SYS_linkat), ON(SYS_symlinkat),
        ON(SYS_unlinkat), ON(SYS_mkdirat), ON(SYS_ftruncate), ON(SYS_fsync), ON(SYS_fdatasync),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3), LOAD(args[2], 0),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_CREAT | O_TRUNC, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return;
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}
