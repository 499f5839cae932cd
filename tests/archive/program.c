#include "tests/archive/program.h"

#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/nzbfs-archive-XXXXXX";
static char now[sizeof(dir)];

bool program_is_there(const char *name)
{
    char line[128];

    snprintf(line, sizeof(line), "command -v %s >/dev/null 2>&1", name);
    if (system(line) == 0)
        return true;
    fprintf(stderr, "SKIPPED: there is no %s\n", name);
    return false;
}

void program_dir_make(void)
{
    strcpy(now, dir);
    ck_assert_ptr_nonnull(mkdtemp(now));
    ck_assert_int_eq(chdir(now), 0);
}

void program_dir_remove(void)
{
    char line[128];

    ck_assert_int_eq(chdir("/"), 0);
    snprintf(line, sizeof(line), "rm -rf %s", now);
    ck_assert_int_eq(system(line), 0);
}

uint8_t *program_bytes(size_t len, uint32_t seed)
{
    uint8_t *p = malloc(len + 1);
    uint32_t x = seed * 2654435761u + 1;

    ck_assert_ptr_nonnull(p);
    for (size_t k = 0; k < len; k++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        p[k] = (uint8_t)(x >> 11);
    }
    return p;
}

void program_file(const char *path, const void *data, size_t len, int64_t mtime)
{
    char part[256];

    snprintf(part, sizeof(part), "%s", path);
    for (char *s = strchr(part, '/'); s; s = strchr(s + 1, '/')) {
        *s = '\0';
        (void)mkdir(part, 0755); /* may be there */
        *s = '/';
    }
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
    struct timespec times[2] = {{.tv_sec = mtime}, {.tv_sec = mtime}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

void program_run(const char *fmt, ...)
{
    static const char end[] = "; } >log 2>&1 </dev/null";
    char line[1024] = "{ ";
    size_t room = sizeof(line) - sizeof(end) - 2;
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(line + 2, room, fmt, ap);
    va_end(ap);
    ck_assert(n > 0 && (size_t)n < room);
    strcat(line, end);
    ck_assert_msg(system(line) == 0, "%s", line);
}

uint8_t *program_slurp(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    long size = ftell(f);
    ck_assert_int_ge(size, 0);
    rewind(f);
    uint8_t *p = malloc((size_t)size + 1);
    ck_assert_ptr_nonnull(p);
    *len = fread(p, 1, (size_t)size, f);
    ck_assert_uint_eq(*len, (size_t)size);
    ck_assert_int_eq(fclose(f), 0);
    return p;
}
