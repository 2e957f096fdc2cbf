/* floor_join: the least work with which a command can be executed in a container that runs: what floor.c is to a launch.
 *
 * A process of this one's (memory shared, parent suspended) joins the user, PID, mount, IPC, UTS and cgroup namespaces of
 * process PID, and starts another there, which execs: only children are in a PID namespace that was joined (setns(2)).
 * No confinement, no signal forwarding, no error report, no options.
 *
 *   musl-gcc -O2 -static -o floor_join floor_join.c      ./floor_join PID COMMAND [ARG...]
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAMESPACES = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP };

static char stacks[2][64 * 1024];
static char **command;
static int joined;

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        _exit(125);
    }
}

/* Starts `body` and returns its exit status. */
static int run(int (*body)(void *), char *stack) {
    int status, pid = clone(body, stack + sizeof stacks[0], CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    check(pid, "clone");
    check(waitpid(pid, &status, 0), "wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int execute(void *unused) {
    (void)unused;
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

static int join(void *unused) {
    (void)unused;
    check(setns(joined, NAMESPACES), "setns");
    _exit(run(execute, stacks[1]));
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: floor_join PID COMMAND [ARG...]\n");
        return 125;
    }
    joined = syscall(SYS_pidfd_open, atoi(argv[1]), 0);
    check(joined, "pidfd_open");
    command = argv + 2;
    return run(join, stacks[0]);
}
