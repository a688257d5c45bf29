/* What the parts of the library share; shim.c says what it is for. */
#pragma once
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define HIDDEN __attribute__((visibility("hidden")))

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

static inline long checked(long found) { return found < 0 && found > -4096 ? errno = -found, -1 : found; }
#define PICK(_0, n, a, b, c, d, e, f, ...) \
    checked(faults_call(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))
#define sys(...) PICK(0, __VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* shim.c */
HIDDEN extern struct state *state;
HIDDEN extern __thread int busy;  /* what this thread does now is no operation of the program's */
/* Write a watched path, as seen from the root, into `out` and return 1; 0 if it is not watched. */
HIDDEN int watched(int dir, const char *path, char *out);
HIDDEN int watched_fd(int fd, char *out);
/* Take the turn and say whether the operation goes on, fails (errno is set) or is torn. */
HIDDEN int enter(unsigned class);
HIDDEN void leave(void);
HIDDEN void note(char op, unsigned flags, uint64_t file, int64_t offset, const char *first,
                 const char *second, const void *data, size_t size);
HIDDEN uint64_t file_of(int fd);

/* operations.c */
HIDDEN int open_at(int dir, const char *path, int flags, mode_t mode);

/* trap.c */
HIDDEN void trap(void);
HIDDEN void trapped(int signal, siginfo_t *about, void *context);
