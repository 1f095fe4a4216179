/* What calls say of what is open, asked with an empty path and without following links. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void describe(const char *what, int open, int flags)
{
	struct stat record;

	if (fstatat(open, "", &record, AT_EMPTY_PATH | flags))
		printf("%s: %s\n", what, strerror(errno));
	else
		printf("%s: mode %o, owner %d:%d\n", what, record.st_mode, record.st_uid, record.st_gid);
}

int main(void)
{
	char target[64] = "";
	int file = open("/file", O_RDWR | O_CREAT, 0640);
	int link = symlink("/file", "/link") ? -1 : open("/link", O_PATH | O_NOFOLLOW);

	describe("file", file, 0);
	describe("file, not followed", file, AT_SYMLINK_NOFOLLOW);
	describe("link", link, 0);
	describe("link, not followed", link, AT_SYMLINK_NOFOLLOW);
	if (fchownat(file, "", 6, 7, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) ||
	    fchownat(link, "", 8, 9, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		printf("chown: %s\n", strerror(errno));
	describe("file", file, 0);
	describe("link", link, 0);
	printf("link to %s\n", readlinkat(link, "", target, sizeof target - 1) < 0 ? strerror(errno) : target);
	printf("no link: %s\n", readlinkat(file, "", target, sizeof target - 1) < 0 ? strerror(errno) : target);
	return 0;
}
