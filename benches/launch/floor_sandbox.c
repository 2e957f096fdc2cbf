/* floor_sandbox: the least work with which the container of `rootlet sandbox` can be made: what floor.c is to a launch.
 *
 * One clone (memory shared, parent suspended) into new namespaces of every kind but time and network, the child maps itself,
 * lays the same mounts, and execs. Meanwhile another process makes the network namespace on another processor, and brings its
 * loopback device up; the child joins it last. It is run in a project in the home directory, which has .cargo, .local and
 * .rustup. No init, no filter of system calls, no Landlock, no error report, no options, and no look at what is there.
 *
 *   musl-gcc -O2 -static -o floor_sandbox floor_sandbox.c      ./floor_sandbox COMMAND [ARG...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What musl has no names for. */
enum { SYS_OPEN_TREE = 428, SYS_MOVE_MOUNT = 429, SYS_MOUNT_SETATTR = 442 };
enum { TREE_CLONE = 1, RECURSIVE = 0x8000, EMPTY_PATH = 0x1000, FROM_EMPTY_PATH = 4 };
static const unsigned long read_only[4] = {1};

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))
static const char *const devices[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                      "/dev/random", "/dev/urandom", "/dev/tty"};
static const char *const closed[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"};
static const char *const hidden[] = {"/proc/keys", "/proc/timer_list"};
static const char *const links[][2] = {{"pts/ptmx", "/dev/ptmx"},          {"/proc/kcore", "/dev/core"},
                                       {"/proc/self/fd", "/dev/fd"},       {"/proc/self/fd/0", "/dev/stdin"},
                                       {"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"}};
static const char *const tools[] = {".cargo", ".local", ".rustup"};

static char **command;
static int uid, gid;

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        _exit(125);
    }
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    check(fd, path);
    check(write(fd, text, strlen(text)), path);
    close(fd);
}

static int take(const char *path) {
    int tree = syscall(SYS_OPEN_TREE, AT_FDCWD, path, TREE_CLONE | O_CLOEXEC | RECURSIVE);
    check(tree, path);
    return tree;
}

static int take_read_only(const char *path) {
    int tree = take(path);
    check(syscall(SYS_MOUNT_SETATTR, tree, "", EMPTY_PATH | RECURSIVE, read_only, sizeof read_only), path);
    return tree;
}

static void lay(int tree, const char *path) {
    check(syscall(SYS_MOVE_MOUNT, tree, "", AT_FDCWD, path, FROM_EMPTY_PATH), path);
    close(tree);
}

static void tmpfs(const char *path, const char *options) {
    check(mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options), path);
}

static void make_file(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    check(fd, path);
    close(fd);
}

/* `path` and those above it. */
static void make_directories(char *path) {
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        mkdir(path, 0755);
        *slash = '/';
    }
    check(mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0, path);
}

static void lay_mounts(void) {
    int device[COUNT(devices)], tool[COUNT(tools)], empty[COUNT(hidden)];
    char project[256], home[256], path[300];
    check(getcwd(project, sizeof project) ? 0 : -1, "getcwd");
    strcpy(home, project);
    *strrchr(home, '/') = 0;
    for (int n = 0; n < COUNT(devices); n++)
        device[n] = take(devices[n]);
    for (int n = 0; n < COUNT(tools); n++) {
        snprintf(path, sizeof path, "%s/%s", home, tools[n]);
        tool[n] = take_read_only(path);
    }
    for (int n = 0; n < COUNT(hidden); n++)
        empty[n] = take_read_only("/dev/null");
    int here = take(project);

    check(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / private");
    check(syscall(SYS_MOUNT_SETATTR, AT_FDCWD, "/", RECURSIVE, read_only, sizeof read_only), "make / read-only");
    check(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "mount /proc");
    for (int n = 0; n < COUNT(closed); n++)
        lay(take_read_only(closed[n]), closed[n]);
    for (int n = 0; n < COUNT(hidden); n++)
        lay(empty[n], hidden[n]);

    tmpfs("/dev", "mode=755,size=64k");
    for (int n = 0; n < COUNT(devices); n++) {
        make_file(devices[n]);
        lay(device[n], devices[n]);
    }
    check(mkdir("/dev/pts", 0755), "/dev/pts");
    check(mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666"), "/dev/pts");
    check(mkdir("/dev/shm", 0755), "/dev/shm");
    tmpfs("/dev/shm", "mode=1777");
    for (int n = 0; n < COUNT(links); n++)
        check(symlink(links[n][0], links[n][1]), links[n][1]);

    tmpfs("/run", "mode=755");
    tmpfs("/tmp", "mode=1777");
    tmpfs("/var/tmp", "mode=1777");
    make_directories(home);
    tmpfs(home, "mode=700");
    for (int n = 0; n < COUNT(tools); n++) {
        snprintf(path, sizeof path, "%s/%s", home, tools[n]);
        check(mkdir(path, 0755), path);
        lay(tool[n], path);
    }
    check(mkdir(project, 0755), project);
    lay(here, project);
    check(chdir(project), project);
}

static void bring_loopback_up(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    check(fd, "socket");
    check(ioctl(fd, SIOCSIFFLAGS, &request), "bring lo up");
    close(fd);
}

static int network = -1;

static int make_network(void *unused) {
    (void)unused;
    check(unshare(CLONE_NEWNET), "make a network namespace");
    network = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    check(network, "/proc/thread-self/ns/net");
    bring_loopback_up();
    _exit(0);
}

/* Begins to make the network namespace on any processor but this one. */
static int begin_network(void) {
    static char stack[64 * 1024];
    cpu_set_t others;
    int pid = clone(make_network, stack + sizeof stack, CLONE_VM | CLONE_FILES | SIGCHLD, NULL);
    check(pid, "clone");
    check(sched_getaffinity(0, sizeof others, &others), "sched_getaffinity");
    CPU_CLR(sched_getcpu(), &others);
    sched_setaffinity(pid, sizeof others, &others);
    return pid;
}

static void join_network(int maker) {
    int status;
    check(waitpid(maker, &status, 0), "wait for the network namespace");
    check(status ? -1 : setns(network, CLONE_NEWNET), "join the network namespace");
}

static int child(void *unused) {
    char map[32];
    int maker = begin_network();
    (void)unused;
    put("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%d %d 1", uid, uid);
    put("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%d %d 1", gid, gid);
    put("/proc/self/gid_map", map);
    lay_mounts();
    join_network(maker);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

int main(int argc, char **argv) {
    static char stack[64 * 1024];
    int flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
    int status;
    command = argv + 1;
    if (argc < 2) {
        fprintf(stderr, "usage: floor_sandbox COMMAND [ARG...]\n");
        return 125;
    }
    uid = getuid();
    gid = getgid();
    int pid = clone(child, stack + sizeof stack, flags | CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    check(pid, "clone");
    check(waitpid(pid, &status, 0), "wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
