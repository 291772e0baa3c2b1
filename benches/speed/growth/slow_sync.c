/* Makes each sync of a process take longer, as on a slow disk: loaded with LD_PRELOAD by
 * slow_disk.rs. SLOW_SYNC_US is how much longer, in microseconds. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_as_told(void)
{
    const char *text = getenv("SLOW_SYNC_US");
    long us = text ? atol(text) : 0;
    struct timespec left = { us / 1000000, us % 1000000 * 1000 };
    while (us > 0 && nanosleep(&left, &left) != 0)
        ;
}

int fdatasync(int file)
{
    wait_as_told();
    return (int)syscall(SYS_fdatasync, file);
}

int fsync(int file)
{
    wait_as_told();
    return (int)syscall(SYS_fsync, file);
}
