/* Preloaded into a server: its syncs wait while the file $SLOW_DISK_GATE exists, and each adds a
   byte to the file $SLOW_DISK_CALLS. With $SLOW_DISK_THREADS, syncs on the main thread do neither. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void wait_at_the_gate(void)
{
    int calls;

    if (getenv("SLOW_DISK_THREADS") && syscall(SYS_gettid) == getpid())
        return;
    calls = open(getenv("SLOW_DISK_CALLS"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (calls >= 0) {
        if (write(calls, ".", 1) != 1)
            abort();
        close(calls);
    }
    while (access(getenv("SLOW_DISK_GATE"), F_OK) == 0)
        usleep(2000);
}

int fdatasync(int fd)
{
    wait_at_the_gate();
    return syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    wait_at_the_gate();
    return syscall(SYS_fsync, fd);
}
