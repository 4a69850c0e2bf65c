/* A clock that stands still until the judge moves its hands: preloaded into both servers, which then see the same time.

   Each look is a microsecond later than the one before, because the C server counts on a clock that goes on between two looks; but only so
   many looks take it further at one position of the hands, so that the two servers stay together. Only clocks of CPU time go on by themselves. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { WALL, MONOTONIC, STIR, HANDS, STATUS = 99, MICROSECOND = 1000 };

static volatile const int64_t *hands; /* ns: the two clocks, and how far looks may take them */

__attribute__((constructor)) static void hang_up(void) {
    const char *path = getenv("JUDGE_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = fd < 0 ? MAP_FAILED : mmap(NULL, HANDS * sizeof *hands, PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) _exit(STATUS);
    close(fd);
    hands = page;
}

static int64_t look(int hand) {
    static int64_t position, stirred;
    int64_t now = hands[MONOTONIC];
    if (now != position) { /* what looks took it further is caught up with, not taken back */
        stirred = stirred > now - position ? stirred - (now - position) : 0;
        position = now;
    }
    if (stirred < hands[STIR]) stirred += MICROSECOND;
    return hands[hand] + stirred;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int hand = MONOTONIC;
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) return syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) hand = WALL;
    int64_t at = look(hand);
    now->tv_sec = at / 1000000000;
    now->tv_nsec = at % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *now, void *zone) {
    int64_t at = look(WALL);
    (void)zone;
    now->tv_sec = at / 1000000000;
    now->tv_usec = at % 1000000000 / 1000;
    return 0;
}

time_t time(time_t *now) {
    time_t at = look(WALL) / 1000000000;
    if (now) *now = at;
    return at;
}
