/* rar — the RAR reader's face. */
#include "archive/rar.h"

static const uint8_t marker5[8] = {'R', 'a', 'r', '!', 0x1a, 7, 1, 0};
static const uint8_t marker4[7] = {'R', 'a', 'r', '!', 0x1a, 7, 0};

static uint8_t version_at(const uint8_t *p, size_t len)
{
    if (len >= sizeof(marker4) && !memcmp(p, marker4, sizeof(marker4)))
        return 4;
    if (len >= sizeof(marker5) && !memcmp(p, marker5, sizeof(marker5)))
        return 5;
    return 0;
}

static bool is_program(const uint8_t *head, size_t len)
{
    return len >= 4 && (!memcmp(head, "MZ", 2) || !memcmp(head, "\177ELF", 4));
}

size_t rar_marker(const uint8_t *head, size_t len, uint8_t *version)
{
    *version = version_at(head, len);
    if (*version)
        return 0;
    if (!is_program(head, len))
        return SIZE_MAX;
    const uint8_t *end = head + len;
    for (const uint8_t *p = head; (p = memchr(p, 'R', (size_t)(end - p))); p++) {
        *version = version_at(p, (size_t)(end - p));
        if (*version)
            return (size_t)(p - head);
    }
    return SIZE_MAX;
}

static bool is(const uint8_t *head, size_t len)
{
    uint8_t version;
    return rar_marker(head, len, &version) != SIZE_MAX;
}

const struct archive_format archive_rar = {
    .name = "RAR",
    .is = is,
    .read = rar_set_read,
    .check = rar_set_check,
};
