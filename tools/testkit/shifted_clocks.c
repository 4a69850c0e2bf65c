/* Shifts the clocks of the process that it is preloaded into: boot time and the wall clock run at
   their speed, so many ns ahead. The two shifts are in a file that the tests change at any time.
   A shift of both at once is what a process sees after the machine was suspended. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { BOOT, WALL, FIELDS, STATUS = 99, SECOND = 1000000000 };

static volatile const int64_t *ahead; /* ns */

__attribute__((constructor)) static void map_file(void) {
    const char *path = getenv("SHIFTED_CLOCKS");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    size_t size = FIELDS * sizeof *ahead;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) _exit(STATUS);
    close(fd);
    ahead = mapped;
}

static void shift(struct timespec *now, int64_t by) {
    int64_t ns = now->tv_nsec + by % SECOND;
    now->tv_sec += by / SECOND + (ns >= SECOND) - (ns < 0);
    now->tv_nsec = ns - (ns >= SECOND) * SECOND + (ns < 0) * SECOND;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (syscall(SYS_clock_gettime, clock, now)) return -1;
    if (clock == CLOCK_BOOTTIME) shift(now, ahead[BOOT]);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) shift(now, ahead[WALL]);
    return 0;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec at;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &at)) return -1;
    now->tv_sec = at.tv_sec;
    now->tv_usec = at.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (now) *now = at.tv_sec;
    return at.tv_sec;
}
