#include "bench/memory.h"

#include <stdio.h>
#include <sys/mman.h>

/* Under a hypervisor that takes back what its guest has freed (free page reporting), a page that the guest's
 * kernel calls free may have no memory behind it. The first touch then costs some microseconds a page, ten times
 * what the guest's own fault costs, and it is paid as system time by whoever touches first: with FUSE, by the daemon
 * that copies its answer into the reader's new pages. That is up to a second a gigabyte, comes and goes with what ran
 * before, and is nobody's doing. What was touched a moment ago stays: it takes the host seconds to have it back. */

static uint64_t memory_free(void)
{
    FILE *f = fopen("/proc/meminfo", "re");
    unsigned long long kib = 0;
    char line[128];

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemFree: %llu", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return (uint64_t)kib << 10;
}

void memory_warm(uint64_t bytes)
{
    const size_t page = 4096;
    uint64_t most = memory_free() / 2;
    size_t len = (size_t)(bytes + bytes / 2 < most ? bytes + bytes / 2 : most);
    volatile uint8_t *p =
        mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return; /* nothing to warm: what is measured will say so */
    (void)madvise((void *)(uintptr_t)p, len, MADV_HUGEPAGE);
    for (size_t i = 0; i < len; i += page)
        p[i] = 1;
    munmap((void *)(uintptr_t)p, len);
}
