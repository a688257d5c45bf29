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
#include "shim.h"

#include <pthread.h>
#include <sys/mman.h>

struct state *state;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
__thread int busy;

static void lock(void) { pthread_mutex_lock(&turn); }
static void unlock(void) { pthread_mutex_unlock(&turn); }

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

int watched(int dir, const char *path, char *out) {
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

int watched_fd(int fd, char *out) {
    char full[PATH_MAX];
    if (!state || !state->armed || busy) return 0;
    int kept = errno, is = fd_path(fd, full);
    const char *found = is ? below(full) : NULL;
    if (found) strncpy(out, found, PATH_MAX - 1), out[PATH_MAX - 1] = 0;
    errno = kept;
    return found != NULL;
}

/* Counting and noting */

int enter(unsigned class) {
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

void leave(void) { busy = 0; unlock(); }

void note(char op, unsigned flags, uint64_t file, int64_t offset, const char *first,
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

uint64_t file_of(int fd) {
    struct stat found;
    int kept = errno, wrong = fstat(fd, &found);
    errno = kept;
    return wrong ? 0 : found.st_ino;
}
