/* Any posts of any names: an end, safe and unique paths, extents that lie where they say.
 *
 * Input     Posts one after the other: a byte of name length, the name, two bytes of length (in units of 16), the
 *           bytes. What is left at the end belongs to the last. */

#include "archive/survey.h"
#include "base/list.h"
#include "nzb/name.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define POSTS 24u

static void must(int holds)
{
    if (!holds)
        abort();
}

static const char *no_name(const struct archive_post *p)
{
    (void)p;
    return "";
}

struct posts {
    struct archive_memory bytes[POSTS];
    struct archive_post list[POSTS];
    char names[POSTS][NZB_NAME_MAX + 1];
    uint32_t n;
};

static void take(struct posts *p, const uint8_t **data, size_t *size)
{
    size_t name = **data % 64, len;
    uint32_t i = p->n;

    ++*data, --*size;
    if (name > *size)
        name = *size;
    nzb_name_safe((const char *)*data, name, p->names[i]);
    for (uint32_t k = 0; k < i; k++) /* the NZB's are unique */
        if (!strcmp(p->names[k], p->names[i]))
            snprintf(p->names[i], sizeof(p->names[i]), "post %u", i);
    *data += name, *size -= name;
    len = *size < 2 ? *size : (size_t)((*data)[0] | (*data)[1] << 8) * 16;
    size_t skip = *size < 2 ? 0 : 2;
    *data += skip, *size -= skip;
    if (len > *size || i + 1 == POSTS)
        len = *size;
    p->bytes[i] = (struct archive_memory){
        .b = {&archive_memory_ops}, .data = *data, .have = len, .size = len};
    p->list[i] = (struct archive_post){.bytes = &p->bytes[i].b,
                                       .name = p->names[i],
                                       .subject = p->names[i],
                                       .guess = len,
                                       .yenc_name = no_name};
    *data += len, *size -= len;
    p->n++;
}

static void check_path(const char *path)
{
    size_t len = strlen(path);

    must(len && len <= 4096 && path[0] != '/' && path[len - 1] != '/');
    must(!strstr(path, "//") && strcmp(path, "..") && strncmp(path, "../", 3) &&
         !strstr(path, "/../") && (len < 3 || strcmp(path + len - 3, "/..") != 0));
}

static void check_entry(const struct archive_layout *l, const struct posts *p, uint32_t i)
{
    const struct archive_entry *e = &l->entries[i];
    uint64_t at = 0;

    check_path(e->path);
    for (uint32_t k = 0; k < e->nextents; k++) {
        const struct archive_extent *x = &e->extents[k];
        must(x->at == at && x->len && x->from < (x->entry ? i : p->n));
        uint64_t within = x->entry ? l->entries[x->from].size : p->bytes[x->from].size;
        must(x->computed || (x->off <= within && x->len <= within - x->off));
        at += x->len;
    }
    must(e->dir || e->post != UINT32_MAX || at >= e->skip + e->size);
    for (uint32_t k = 0; k < i && i < 200; k++)
        must(e->hidden || l->entries[k].hidden || strcmp(e->path, l->entries[k].path) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const passwords[] = {"secret", "x"};
    struct archive_options o = {
        .passwords = passwords, .npasswords = 2, .title = "title", .memory = (size_t)8 << 20};
    struct posts *p = calloc(1, sizeof(*p));
    struct archive_layout *l = NULL;

    must(p != NULL);
    while (size && p->n < POSTS)
        take(p, &data, &size);
    must(archive_survey(p->list, p->n, &o, &l) == 0 && l && l->nposts == p->n);
    for (uint32_t i = 0; i < l->nentries; i++)
        check_entry(l, p, i);
    for (uint32_t i = 0; i < p->n; i++) {
        check_path(l->posts[i].name);
        uint64_t head = archive_volume_head(l, i);
        if (head && head <= p->bytes[i].have)
            (void)archive_volume_is(l, i, p->bytes[i].data, head);
    }
    archive_layout_free(l);
    free(p);
    return 0;
}
