/* A clock that the judge controls. It is preloaded into both servers, so both read the same time.

   Each reading is a microsecond later than the one before, because the C server relies on a clock
   that advances between two readings. Readings advance the clock only up to a limit for each
   position that the judge sets, so the two servers stay together. Clocks of CPU time are real. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { WALL, MONOTONIC, DRIFT, FIELDS, STATUS = 99, MICROSECOND = 1000 };

static volatile const int64_t *page; /* ns: the two clocks, and how far readings may advance them */

__attribute__((constructor)) static void map_page(void) {
    const char *path = getenv("JUDGE_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    size_t size = FIELDS * sizeof *page;
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) _exit(STATUS);
    close(fd);
    page = mapped;
}

static int64_t read_clock(int field) {
    static int64_t position, drift;
    int64_t now = page[MONOTONIC];
    if (now != position) { /* the new position absorbs the drift; time never goes back */
        drift = drift > now - position ? drift - (now - position) : 0;
        position = now;
    }
    if (drift < page[DRIFT]) drift += MICROSECOND;
    return page[field] + drift;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int field = MONOTONIC;
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID)
        return syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) field = WALL;
    int64_t at = read_clock(field);
    now->tv_sec = at / 1000000000;
    now->tv_nsec = at % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *now, void *zone) {
    int64_t at = read_clock(WALL);
    (void)zone;
    now->tv_sec = at / 1000000000;
    now->tv_usec = at % 1000000000 / 1000;
    return 0;
}

time_t time(time_t *now) {
    time_t at = read_clock(WALL) / 1000000000;
    if (now) *now = at;
    return at;
}
