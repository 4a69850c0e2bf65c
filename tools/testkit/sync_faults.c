/* A library for LD_PRELOAD: syncs that fail, as the environment says.

   FSYNC_OF_DIRECTORY=ERRNO   each fsync of a directory fails
   FDATASYNC=ERRNO            the first fdatasync fails, twice if ERRNO is EINTR
   FDATASYNC_CALLS=PATH       each call of fdatasync adds a byte to this file */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failed;

static int number(const char *name)
{
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

int fsync(int fd)
{
    struct stat found;
    int error = number("FSYNC_OF_DIRECTORY");

    if (error && fstat(fd, &found) == 0 && S_ISDIR(found.st_mode)) {
        errno = error;
        return -1;
    }
    return syscall(SYS_fsync, fd);
}

static void count(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, "x", 1) != 1 || close(fd))
        abort();
}

int fdatasync(int fd)
{
    const char *path = getenv("FDATASYNC_CALLS");
    int error = number("FDATASYNC");

    if (path)
        count(path);
    if (error && failed < (error == EINTR ? 2 : 1)) {
        failed++;
        errno = error;
        return -1;
    }
    return syscall(SYS_fdatasync, fd);
}
