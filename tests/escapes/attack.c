/* What a hostile command would do, a verb each. Prints what the kernel answered: `done`, or the errno by its name. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int answer(long result)
{
	printf("%s\n", result < 0 ? strerrorname_np(errno) : "done");
	return 0;
}

/* fds: every open descriptor, by asking for each. */
static int descriptors(void)
{
	for (int fd = 0; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			printf("%d ", fd);
	puts("");
	return 0;
}

/* open PATH r|w|t|p: to read, to write, to empty, or as a place only. */
static int opens(const char *path, const char *how)
{
	int flags = *how == 'r' ? O_RDONLY : *how == 'w' ? O_WRONLY : *how == 't' ? O_WRONLY | O_TRUNC : O_PATH;
	return answer(open(path, flags | O_NONBLOCK));
}

/* reopen PATH: held as a place, then opened to write by the descriptor. */
static int reopens(const char *path)
{
	int held = open(path, O_PATH);
	if (held < 0)
		return answer(held);
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fd/%d", held);
	return answer(open(name, O_WRONLY));
}

/* inject PATH HIGH: types a key into a terminal; HIGH stands in the upper half of the request. */
static int injects(const char *path, unsigned long high)
{
	int terminal = *path == '-' ? 0 : open(path, O_RDWR | O_NOCTTY);
	if (terminal < 0)
		return answer(terminal);
	return answer(syscall(SYS_ioctl, terminal, TIOCSTI | high << 32, "#"));
}

/* selection HIGH: pastes into a virtual terminal. */
static int selects(unsigned long high)
{
	char request = 3;
	return answer(syscall(SYS_ioctl, 0, TIOCLINUX | high << 32, &request));
}

/* connect NAME: to an abstract socket. */
static int connects(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
	return answer(connect(fd, (void *)&address, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

/* key NAME: looks for a key of the session. */
static int finds_key(const char *name)
{
	return answer(syscall(SYS_keyctl, 10 /* KEYCTL_SEARCH */, -3, "user", name, 0));
}

/* call NUMBER [ARGUMENT...]: any system call; an argument that is no number is a string. */
static int calls(int count, char **words)
{
	long argument[7] = { 0 };
	for (int i = 0; i < count && i < 7; i++) {
		char *end;
		argument[i] = strtol(words[i], &end, 0);
		if (*end || !*words[i])
			argument[i] = (long)words[i];
	}
	return answer(syscall(argument[0], argument[1], argument[2], argument[3], argument[4], argument[5], argument[6]));
}

#ifdef __x86_64__
/* int80 NUMBER: a system call by the entry for 32-bit programs. In a process of its own, which a filter may end. */
static int old_entry(long number)
{
	pid_t child = fork();
	if (!child) {
		long result;
		__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(0), "c"(0), "d"(0) : "memory");
		_exit(result == -ENOSYS ? 2 : result < 0 ? 1 : 0);
	}
	int status;
	waitpid(child, &status, 0);
	if (WIFSIGNALED(status))
		puts(strsignal(WTERMSIG(status)));
	else
		puts((const char *[]){ "done", "refused", "ENOSYS" }[WEXITSTATUS(status)]);
	return 0;
}
#endif

int main(int count, char **words)
{
	const char *verb = count > 1 ? words[1] : "";
	const char *first = count > 2 ? words[2] : "", *second = count > 3 ? words[3] : "";
	if (!strcmp(verb, "fds"))
		return descriptors();
	if (!strcmp(verb, "open"))
		return opens(first, second);
	if (!strcmp(verb, "reopen"))
		return reopens(first);
	if (!strcmp(verb, "list"))
		return answer(opendir(first) ? 0 : -1);
	if (!strcmp(verb, "trace"))
		return answer(ptrace(PTRACE_SEIZE, atoi(first), 0, 0));
	if (!strcmp(verb, "inject"))
		return injects(first, atoi(second));
	if (!strcmp(verb, "selection"))
		return selects(atoi(first));
	if (!strcmp(verb, "connect"))
		return connects(first);
	if (!strcmp(verb, "key"))
		return finds_key(first);
	if (!strcmp(verb, "socket"))
		return answer(socket(atoi(first), atoi(second), 0));
	if (!strcmp(verb, "node"))
		return answer(mknod(first, S_IFCHR | 0666, atoi(second) << 8 | 3));
	if (!strcmp(verb, "mount"))
		return answer(mount("none", first, "tmpfs", 0, ""));
	if (!strcmp(verb, "unmount"))
		return answer(umount2(first, MNT_DETACH));
	if (!strcmp(verb, "remount"))
		return answer(mount("none", first, 0, MS_REMOUNT | MS_BIND, 0));
	if (!strcmp(verb, "call"))
		return calls(count - 2, words + 2);
#ifdef __x86_64__
	if (!strcmp(verb, "int80"))
		return old_entry(atoi(first));
#endif
	fprintf(stderr, "no such attack: %s\n", verb);
	return 64;
}
