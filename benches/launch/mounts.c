/* mounts: runs a command on a host with many mounts, without touching this one.
 *
 *   musl-gcc -O2 -static -o mounts mounts.c      ./mounts DIR NUMBER COMMAND [ARG...]
 *
 * In new user and mount namespaces it covers DIR with a tmpfs, makes NUMBER bind mounts in there and execs. The user
 * keeps its own id, so that the exec takes the capabilities away again: COMMAND runs as the ordinary user it would be
 * on such a host.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(125);
    }
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    check(fd, path);
    check(write(fd, text, strlen(text)), path);
    close(fd);
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: mounts DIR NUMBER COMMAND [ARG...]\n");
        return 125;
    }
    char text[64], *back = getcwd(NULL, 0);
    int uid = getuid(), gid = getgid(), number = atoi(argv[2]);
    check(unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare");
    put("/proc/self/setgroups", "deny");
    snprintf(text, sizeof text, "%d %d 1", uid, uid);
    put("/proc/self/uid_map", text);
    snprintf(text, sizeof text, "%d %d 1", gid, gid);
    put("/proc/self/gid_map", text);
    check(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / private");
    check(mount("tmpfs", argv[1], "tmpfs", 0, NULL), argv[1]);
    check(chdir(argv[1]), argv[1]);
    check(mkdir("source", 0755), "source");
    for (int i = 0; i < number; i++) {
        snprintf(text, sizeof text, "%d", i);
        check(mkdir(text, 0755), text);
        check(mount("source", text, NULL, MS_BIND, NULL), text);
    }
    if (back) check(chdir(back), back);
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 127;
}
