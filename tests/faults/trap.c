/* The operations on files that a program asks the kernel for, past the C library. */
#include "shim.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ucontext.h>

#if defined __x86_64__
__asm__(".text\n.globl faults_call\nfaults_call:\n mov %rdi,%rax\n mov %rsi,%rdi\n mov %rdx,%rsi\n"
        " mov %rcx,%rdx\n mov %r8,%r10\n mov %r9,%r8\n mov 8(%rsp),%r9\n syscall\n ret\n");
#elif defined __aarch64__
__asm__(".text\n.globl faults_call\nfaults_call:\n mov x8,x0\n mov x0,x1\n mov x1,x2\n mov x2,x3\n"
        " mov x3,x4\n mov x4,x5\n mov x5,x6\n svc 0\n ret\n");
#else
#error "file operations are intercepted on x86_64 and aarch64 alone"
#endif

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

void trapped(int signal, siginfo_t *about, void *context) {
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
void trap(void) {
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
