/* overlays: what the kernel takes for overlays with layers of their own, as `rootlet try` lays them: one after the other,
 * an upper and a work directory made, the overlay mounted with userxattr and volatile, unmounted, and all of it removed.
 *
 *   musl-gcc -O2 -static -o overlays overlays.c      ./overlays COUNT ROUNDS
 *
 * The layers are made in the working directory, on whatever file system that is. Prints the median of each part for one
 * overlay, in microseconds.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAKE, MOUNT, UNMOUNT, REMOVE, PARTS };
static const char *const names[PARTS] = {"make", "mount", "unmount", "remove"};

static void check(int result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static const char *text(const char *format, ...) {
    static char line[256];
    va_list rest;
    va_start(rest, format);
    vsnprintf(line, sizeof line, format, rest);
    va_end(rest);
    return line;
}

static void put(const char *path, const char *line) {
    int file = open(path, O_WRONLY);
    check(file, path);
    check(write(file, line, strlen(line)), path);
    close(file);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void one(int part, int n) {
    /* What the kernel leaves in a work directory, from the inside out; it lets nobody search them. */
    static const char *const left[] = {"work/incompat/volatile", "work/incompat", "work"};
    switch (part) {
    case MAKE:
        check(mkdir(text("upper%d", n), 0755), "mkdir upper");
        check(mkdir(text("work%d", n), 0700), "mkdir work");
        break;
    case MOUNT:
        check(mount("overlay", "target", "overlay", 0,
                    text("lowerdir=lower,upperdir=upper%d,workdir=work%d,userxattr,volatile", n, n)),
              "mount");
        break;
    case UNMOUNT:
        check(umount2("target", 0), "umount");
        break;
    case REMOVE:
        for (int i = 2; i >= 0; i--) check(chmod(text("work%d/%s", n, left[i]), 0700), "chmod");
        check(unlink(text("work%d/work/incompat/volatile/dirty", n)), "unlink");
        for (int i = 0; i < 3; i++) check(rmdir(text("work%d/%s", n, left[i])), "rmdir");
        check(rmdir(text("work%d", n)), "rmdir work");
        check(rmdir(text("upper%d", n)), "rmdir upper");
    }
}

int main(int argc, char **argv) {
    int count = argc == 3 ? atoi(argv[1]) : 0, rounds = argc == 3 ? atoi(argv[2]) : 0;
    if (count < 1 || rounds < 1) {
        fprintf(stderr, "usage: overlays COUNT ROUNDS\n");
        return 2;
    }
    int uid = getuid(), gid = getgid();
    check(unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare");
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", text("%d %d 1", uid, uid));
    put("/proc/self/gid_map", text("%d %d 1", gid, gid));
    check(mkdir("lower", 0755), "mkdir lower");
    check(mkdir("target", 0755), "mkdir target");
    double *times[PARTS];
    for (int part = 0; part < PARTS; part++) times[part] = calloc(rounds, sizeof(double));
    for (int round = 0; round < rounds; round++)
        for (int part = 0; part < PARTS; part++) {
            double start = now();
            for (int n = 0; n < count; n++) one(part, n);
            times[part][round] = (now() - start) / count;
        }
    double sum = 0;
    for (int part = 0; part < PARTS; part++) {
        qsort(times[part], rounds, sizeof(double), ascending);
        double median = times[part][rounds / 2];
        printf("%s %.0f  ", names[part], median);
        sum += median;
    }
    printf("in all %.0f us for each of %d\n", sum, count);
    check(rmdir("lower"), "rmdir lower");
    check(rmdir("target"), "rmdir target");
    return 0;
}
