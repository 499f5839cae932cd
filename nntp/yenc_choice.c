/* yenc_choice — which kernels this build has, which this CPU can run, and which is used. */

#define LOG_TAG "nntp.yenc"

#include "nntp/crc32.h"
#include "nntp/yenc.h"
#include "nntp/yenc_kernels.h"

#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

_Alignas(64) uint8_t yenc_compact[YENC_COMPACT][16];

static struct yenc_kernel kernels[] = {
    {.name = "reference", .decode = yenc_decode_reference},
#if defined(__x86_64__)
    {.name = "ssse3", .decode = yenc_decode_ssse3},
    {.name = "avx2", .decode = yenc_decode_avx2},
    {.name = "vbmi2", .decode = yenc_decode_vbmi2},
#elif defined(__aarch64__)
    {.name = "neon", .decode = yenc_decode_neon},
#endif
};
#define KERNELS (sizeof(kernels) / sizeof(kernels[0]))

static const struct yenc_kernel *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void compact_init(void)
{
    for (unsigned drop = 0; drop < YENC_COMPACT; drop++)
        for (unsigned bit = 0, n = 0; bit < 16; bit++)
            if (!(drop >> bit & 1))
                yenc_compact[drop][n++] = (uint8_t)bit;
}

/* The builtins ask cpuid, and for the wide registers also whether the system saves them (XCR0). Each
 * line names every instruction set that nntp/decode.cmake lets the compiler use in that file. */
static bool cpu_has(const char *name)
{
    if (strcmp(name, "reference") == 0 || strcmp(name, "neon") == 0)
        return true;
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("popcnt") || !__builtin_cpu_supports("ssse3"))
        return false;
    if (strcmp(name, "ssse3") == 0)
        return true;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2"))
        return false;
    if (strcmp(name, "avx2") == 0)
        return true;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vbmi2");
#else
    return false;
#endif
}

static void choose(void)
{
    const char *wanted = getenv("NZBFS_YENC");
    const struct yenc_kernel *named = NULL;

    compact_init();
    for (size_t i = 0; i < KERNELS; i++) {
        struct yenc_kernel *k = &kernels[i];
        k->usable = cpu_has(k->name);
        k->crc = crc32_best();
        if (!k->usable)
            continue;
        chosen = k;
        if (wanted && strcmp(wanted, k->name) == 0)
            named = k;
    }
    if (named)
        chosen = named;
    else if (wanted)
        log_warn("NZBFS_YENC=%s: no such kernel here, using %s", wanted, chosen->name);
}

const struct yenc_kernel *yenc_kernels(size_t *n)
{
    pthread_once(&once, choose);
    *n = KERNELS;
    return kernels;
}

const struct yenc_kernel *yenc_kernel(void)
{
    pthread_once(&once, choose);
    return chosen;
}
