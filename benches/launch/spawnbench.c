/* spawnbench: times whole commands side by side, in turn, so that a noisy machine is noisy for all of them alike.
 *
 *   cc -O2 -o spawnbench spawnbench.c      ./spawnbench ROUNDS FILE
 *
 * FILE has a line a command, "name|program arg arg ..." (split at blanks; no quoting; as long as it has to be, since a
 * thousand volumes are to be measured too); '#' starts a comment line.
 * Each round runs every command once, by posix_spawn, output to /dev/null, and takes the wall time until it has been
 * reaped. Printed: minimum, median and 90th percentile in microseconds, and the ratios of minimum and of median to
 * the first line's. A command that exited non-zero is counted and named; its times mean nothing then.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
enum { MOST = 64, WARMUPS = 3 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    char *line = NULL;
    size_t room = 0;
    char *names[MOST], **commands[MOST];
    double *times[MOST];
    int failures[MOST] = {0}, count = 0, rounds;
    FILE *file;
    if (argc != 3 || (rounds = atoi(argv[1])) < 1 || !(file = fopen(argv[2], "r"))) {
        fprintf(stderr, "usage: spawnbench ROUNDS FILE\n");
        return 2;
    }
    while (count < MOST && getline(&line, &room, file) > 0) {
        line[strcspn(line, "\n")] = 0;
        char *bar = strchr(line, '|');
        if (!*line || *line == '#' || !bar) continue;
        *bar = 0;
        names[count] = strdup(line);
        /* A word and its blank are two bytes at least. */
        commands[count] = calloc(strlen(bar + 1) / 2 + 2, sizeof(char *));
        int n = 0;
        for (char *word = strtok(strdup(bar + 1), " "); word; word = strtok(NULL, " ")) commands[count][n++] = word;
        times[count++] = calloc(rounds, sizeof(double));
    }
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    for (int round = -WARMUPS; round < rounds; round++)
        for (int i = 0; i < count; i++) {
            pid_t pid;
            int status;
            double start = now();
            if (posix_spawnp(&pid, commands[i][0], &quiet, NULL, commands[i], environ)) {
                failures[i]++;
                continue;
            }
            waitpid(pid, &status, 0);
            if (round >= 0) times[i][round] = now() - start;
            failures[i] += status != 0;
        }
    double least = 0, median = 0;
    for (int i = 0; i < count; i++) {
        qsort(times[i], rounds, sizeof(double), ascending);
        double lo = times[i][0], mid = times[i][rounds / 2], p90 = times[i][rounds * 9 / 10];
        if (!i) least = lo, median = mid;
        printf("%-32s min %8.0f  median %8.0f  p90 %8.0f us   x%.2f min  x%.2f median", names[i], lo, mid, p90,
               lo / least, mid / median);
        if (failures[i]) printf("   FAILED %d times", failures[i]);
        printf("\n");
    }
    return 0;
}
