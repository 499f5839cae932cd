#include "tests/lib/setmaker_options.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind { FLAG, TEXT, SIZE, NUMBER, WIDTH, FORMAT, NAMING, SIZES, GENERATE, SUM, PAR2 };

/* What an option sets, in which field, and how it is described. */
static const struct row {
    const char *name;
    enum kind kind;
    size_t at;
    const char *help;
} rows[] = {
#define O(field) offsetof(struct setmaker_options, field)
    {"format", FORMAT, 0, "rar5 (the default), rar4, zip, or files: the FILEs as they are"},
    {"base", TEXT, O(rar.base), "what volumes' names begin with"},
    {"volume-size", SIZE, O(rar.volume_size), "RAR: 0 is a single volume"},
    {"volume-sizes", SIZES, 0, "RAR: A,B,…: of the first volumes"},
    {"naming", NAMING, 0, "RAR: part or old"},
    {"width", WIDTH, O(rar.width), "RAR: digits of partNN"},
    {"seed", SIZE, O(rar.seed), "of all that is random"},
    {"sum", SUM, 0, "RAR 5: crc32, blake2sp or none"},
    {"password", TEXT, O(rar.password), "RAR"},
    {"encrypt-headers", FLAG, O(rar.encrypt_headers), "RAR"},
    {"kdf-log2", WIDTH, O(rar.kdf_log2), "RAR 5: rounds of key derivation"},
    {"no-check", FLAG, O(rar.no_check), "RAR 5: nothing to check a password by"},
    {"tweaked", FLAG, O(rar.tweaked), "RAR 5: checksums depend on the key"},
    {"salt-each", FLAG, O(rar.salt_each), "RAR: every member has its own salt"},
    {"salt-parts", FLAG, O(rar.salt_parts), "RAR 4: every part of a member too"},
    {"comment", TEXT, O(rar.comment), "of the archive"},
    {"recovery", NUMBER, O(rar.recovery), "RAR: bytes of a recovery record that recovers nothing"},
    {"locator", FLAG, O(rar.locator), "RAR 5"},
    {"quick-open", FLAG, O(rar.quick_open), "RAR 5"},
    {"service", FLAG, O(rar.service), "RAR: unknown service blocks between members"},
    {"records", FLAG, O(rar.records), "RAR 5: an owner and an unknown record in file headers"},
    {"solid", FLAG, O(rar.solid), "RAR"},
    {"windows", FLAG, O(rar.windows), "RAR: made on Windows"},
    {"precise", FLAG, O(rar.precise_times), "fractions of a second"},
    {"large", FLAG, O(rar.large), "RAR 4, ZIP: 64-bit sizes"},
    {"utf8-names", FLAG, O(rar.utf8_names), "RAR 4"},
    {"no-end", FLAG, O(rar.no_end), "RAR: no end block"},
    {"no-numbers", FLAG, O(rar.no_numbers), "RAR: no volume numbers"},
    {"old-blocks", FLAG, O(rar.old_blocks), "RAR 4: comment and recovery record as 2.x has them"},
    {"sfx", NUMBER, O(rar.sfx), "RAR, ZIP: so many bytes of something else before it"},
    {"descriptors", FLAG, O(zip.descriptors), "ZIP"},
    {"cp437", FLAG, O(zip.cp437), "ZIP"},
    {"unicode-path", FLAG, O(zip.unicode_path), "ZIP"},
    {"dos-times", FLAG, O(zip.dos_times), "ZIP"},
    {"member-comments", FLAG, O(zip.comments), "ZIP"},
    {"gap", NUMBER, O(zip.gap), "ZIP: bytes between members"},
    {"local-name-differs", FLAG, O(zip.local_name_differs), "ZIP"},
    {"compressed", TEXT, O(compressed), "this member's header says that it is"},
    {"plain", TEXT, O(plain), "RAR: this member is not encrypted"},
    {"unknown-size", TEXT, O(unknown), "RAR: this member's size is not told"},
    {"generate", GENERATE, 0, "NAME:SIZE[:SEED]: a member that is no file"},
    {"cut", SIZE, O(cut), "all joined and cut into NAME.001 … of so many bytes"},
    {"par2", PAR2, 0, "N: an index and N recovery files beside the set"},
    {"obfuscate", FLAG, O(obfuscate), "names say nothing (PAR2 descriptions do)"},
    {"shuffle", FLAG, O(shuffle), "list volumes in another order"},
    {"root", TEXT, O(root), "members are called by their paths from here"},
    {"truth", TEXT, O(truth), "a directory: what members hold is written there too"},
#undef O
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

__attribute__((format(printf, 1, 2))) static bool bad(const char *fmt, ...)
{
    va_list ap;
    fputs("nzbfs-setmaker: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return false;
}

void setmaker_options_help(FILE *out)
{
    fputs(
        "usage: nzbfs-setmaker [OPTION]... DIR [FILE|DIRECTORY]...\n"
        "Puts the FILEs, stored, into an archive whose volumes are written to DIR, and lists these in their\n"
        "order: NAME SIZE. Sizes may end in K, M or G (of 1024).\n\n",
        out);
    for (size_t i = 0; i < NROWS; i++)
        fprintf(out, "  --%s%*s%s\n", rows[i].name, (int)(20 - strlen(rows[i].name)), "",
                rows[i].help);
}

static bool size_parse(const char *text, char **end, uint64_t *out)
{
    errno = 0;
    *out = strtoull(text, end, 10);
    if (*end == text || errno)
        return false;
    unsigned shift = **end == 'K' ? 10 : **end == 'M' ? 20 : **end == 'G' ? 30 : 0;
    if (shift && *out > UINT64_MAX >> shift)
        return false;
    *out <<= shift;
    *end += shift != 0;
    return true;
}

static bool sizes_parse(struct setmaker_options *o, const char *text)
{
    o->rar.nvolume_sizes = 0;
    for (char *end; o->rar.nvolume_sizes < SETMAKER_SIZES; text = end + 1) {
        if (!size_parse(text, &end, &o->sizes[o->rar.nvolume_sizes]))
            return false;
        o->rar.nvolume_sizes++;
        if (*end == '\0')
            return true;
        if (*end != ',')
            return false;
    }
    return false;
}

static bool generate_parse(struct setmaker_options *o, const char *text)
{
    const char *colon = strchr(text, ':');
    char *end;
    if (!colon || o->ngenerate == SETMAKER_GENERATE)
        return false;
    struct setmaker_generate *g = &o->generate[o->ngenerate];
    if (!size_parse(colon + 1, &end, &g->size))
        return false;
    g->seed = o->ngenerate + 1;
    if (*end == ':' && !size_parse(end + 1, &end, &g->seed))
        return false;
    g->name = strndup(text, (size_t)(colon - text));
    o->ngenerate++;
    return *end == '\0' && g->name;
}

/* Which of `words` it is; -1: none. */
static int word_of(const char *text, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    return -1;
}

static bool word_set(struct setmaker_options *o, enum kind kind, const char *text)
{
    static const char *const formats[] = {"rar5", "rar4", "zip", "files", NULL};
    static const char *const namings[] = {"part", "old", NULL};
    static const char *const sums[] = {"crc32", "blake2sp", "none", NULL};
    int i = word_of(text, kind == FORMAT ? formats : kind == NAMING ? namings : sums);
    if (i < 0)
        return false;
    if (kind == FORMAT) {
        o->format = i < 2 ? SETMAKER_RAR : i == 2 ? SETMAKER_ZIP : SETMAKER_FILES;
        o->rar.version = i == 1 ? 4 : 5;
    } else if (kind == NAMING)
        o->rar.naming = i == 0 ? RARMAKER_PART : RARMAKER_OLD;
    else
        o->rar.sum = i == 0 ? RARMAKER_CRC32 : i == 1 ? RARMAKER_BLAKE2SP : RARMAKER_NO_SUM;
    return true;
}

static bool option_set(struct setmaker_options *o, const struct row *row, const char *text)
{
    void *field = (char *)o + row->at;
    uint64_t n = 0;
    char *end;
    switch (row->kind) {
    case FLAG:
        *(bool *)field = true;
        return true;
    case TEXT:
        *(const char **)field = text;
        return true;
    case SIZE:
    case NUMBER:
    case WIDTH:
    case PAR2:
        if (!size_parse(text, &end, &n) || *end != '\0' || (row->kind != SIZE && n > 1 << 24))
            return false;
        if (row->kind == SIZE)
            *(uint64_t *)field = n;
        else if (row->kind == NUMBER)
            *(size_t *)field = (size_t)n;
        else if (row->kind == WIDTH)
            *(unsigned *)field = (unsigned)n;
        else
            o->par2.recovery = n <= 16 ? (uint32_t)n : 16;
        o->make_par2 = o->make_par2 || row->kind == PAR2;
        return true;
    case FORMAT:
    case NAMING:
    case SUM:
        return word_set(o, row->kind, text);
    case SIZES:
        return sizes_parse(o, text);
    case GENERATE:
        return generate_parse(o, text);
    }
    return false;
}

/* What several makers have in common. */
static void shared_set(struct setmaker_options *o)
{
    o->rar.volume_sizes = o->sizes;
    o->zip.base = o->par2.base = o->rar.base;
    o->zip.seed = o->par2.seed = o->rar.seed;
    o->zip.zip64 = o->rar.large;
    o->zip.precise_times = o->rar.precise_times;
    o->zip.comment = o->rar.comment;
    o->zip.prefix = o->rar.sfx;
    o->zip.no_sum = o->rar.sum == RARMAKER_NO_SUM;
}

enum setmaker_options_result setmaker_options_parse(struct setmaker_options *o, int argc,
                                                    char **argv)
{
    *o = (struct setmaker_options){.rar.version = 5};
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        const char *name = argv[i] + 2;
        size_t k = 0;
        if (strcmp(name, "help") == 0)
            return SETMAKER_OPTIONS_HELP;
        while (k < NROWS && strcmp(rows[k].name, name) != 0)
            k++;
        bool value = k < NROWS && rows[k].kind != FLAG;
        if (k == NROWS || (value && i + 1 == argc) ||
            !option_set(o, &rows[k], value ? argv[++i] : NULL)) {
            bad("--%s: no such option, or not what it takes (--help tells more)", name);
            return SETMAKER_OPTIONS_BAD;
        }
    }
    if (i == argc) {
        bad("where to? (--help tells more)");
        return SETMAKER_OPTIONS_BAD;
    }
    o->to = argv[i];
    o->files = argv + i + 1;
    o->nfiles = argc - i - 1;
    shared_set(o);
    return SETMAKER_OPTIONS_RUN;
}

void setmaker_options_fini(struct setmaker_options *o)
{
    for (unsigned i = 0; i < o->ngenerate; i++)
        free(o->generate[i].name);
}
