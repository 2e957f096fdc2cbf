/* What a hostile process does inside while commands are executed beside it. Prints whatever it gets of a process that is not
 * yet the command. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const FILES[] = { "exe", "maps", "environ", "mem", "cwd", "root", "fd", "auxv", "fd/3", "fd/4", "fd/5", "fd/6" };
enum { COUNT = sizeof FILES / sizeof *FILES };
static const char *launcher, *secret;
static long looked, opened;

/* Whether a file has these bytes in it. */
static int has(int fd, const char *word)
{
	static char text[1 << 16];
	ssize_t length = read(fd, text, sizeof text);
	return length > 0 && memmem(text, length, word, strlen(word)) != NULL;
}

/* Opens what there is of the process, and tells of what is rootlet's or its caller's. */
static void look(int pid)
{
	char path[64], target[4096];

	if (pid == getpid())
		return;
	looked++;
	for (int file = 0; file < COUNT; file++) {
		snprintf(path, sizeof path, "/proc/%d/%s", pid, FILES[file]);
		ssize_t length = readlink(path, target, sizeof target - 1);
		if (length > 0) {
			target[length] = 0;
			if (strstr(target, launcher) || strstr(path, "/fd/"))
				printf("seen: %s leads to %s\n", path, target);
		}
		int fd = open(path, O_RDONLY | O_NONBLOCK);
		if (fd < 0)
			continue;
		opened++;
		if (strstr(path, "/fd/"))
			printf("seen: %s could be opened\n", path);
		if (!strcmp(FILES[file], "maps") && has(fd, launcher))
			printf("seen: the memory of rootlet in %s\n", path);
		if (!strcmp(FILES[file], "environ") && has(fd, secret))
			printf("seen: the environment of the caller in %s\n", path);
		close(fd);
	}
}

/* Traces the process, if that is let, and looks at it then. */
static void trace(int pid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		return;
	look(pid);
	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0 && waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
		ptrace(PTRACE_DETACH, pid, 0, 0);
}

/* watch END LAUNCHER SECRET trace|look: until there is a file END. */
static int watch(const char *end, const char *how)
{
	int last = getpid();

	puts("ready");
	fflush(stdout);
	while (access(end, F_OK)) {
		DIR *list = opendir("/proc");
		for (struct dirent *entry; (entry = readdir(list));) {
			int pid = atoi(entry->d_name);
			if (pid <= last && pid + 30000 > last)
				continue;
			if (!strcmp(how, "trace"))
				trace(pid);
			/* More than once: it is seen in each of its states. */
			for (int times = 0; times < 4; times++)
				look(pid);
			last = pid;
		}
		closedir(list);
		/* Those that come next have the next numbers. */
		for (int next = last + 1; next < last + 4; next++) {
			if (!strcmp(how, "trace"))
				trace(next);
			look(next);
		}
	}
	printf("end: %s\n", looked > 0 && opened > 0 ? "watched" : "nothing was there to be watched");
	return 0;
}

/* hold END LAUNCHER: keeps the program file of a process that is rootlet, and writes to it until that is let. */
static int hold(const char *end)
{
	int held = -1, last = getpid();
	char path[64], target[4096];

	puts("ready");
	fflush(stdout);
	while (access(end, F_OK)) {
		for (int next = last + 1; held < 0 && next < last + 6; next++) {
			snprintf(path, sizeof path, "/proc/%d/exe", next);
			ssize_t length = readlink(path, target, sizeof target - 1);
			if (length <= 0)
				continue;
			target[length] = 0;
			if (strstr(target, launcher))
				held = open(path, O_RDONLY);
			if (kill(next, 0) == 0 && !strstr(target, launcher))
				last = next;
		}
		if (held < 0)
			continue;
		snprintf(path, sizeof path, "/proc/self/fd/%d", held);
		int written = open(path, O_WRONLY);
		if (written < 0)
			continue;
		puts(write(written, "bad", 3) == 3 ? "written" : "open for writing");
		return 0;
	}
	puts(held < 0 ? "none" : "held");
	return 0;
}

int main(int count, char **words)
{
	if (count == 6 && !strcmp(words[1], "watch")) {
		launcher = words[3];
		secret = words[4];
		return watch(words[2], words[5]);
	}
	if (count == 4 && !strcmp(words[1], "hold")) {
		launcher = words[3];
		return hold(words[2]);
	}
	/* The command: there for a moment. */
	usleep(2000);
	return 0;
}
