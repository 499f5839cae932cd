#include "tests/lib/newsd_options.h"
#include "tests/lib/newsd_script.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void newsd_options_help(FILE *out)
{
    fputs(
        "usage: nzbfs-newsd [OPTION]... [FILE]...\n"
        "A news server on loopback that serves FILEs, for tests and for trying things out.\n\n"
        "What is served\n"
        "  --generate NAME:SIZE[:SEED]  a file of random bytes that needs no disk; repeatable\n"
        "  --tag NAME:LETTER            its message-ids begin with this letter; see tags below\n"
        "  --part-size N                decoded bytes of an article (750000)\n"
        "  --uneven                     parts of that size and, at random, down to half of it\n"
        "  --nzb OUT.nzb                write the NZB of all files\n"
        "  --post                       take articles by POST\n"
        "  --encode-first               encode everything before the first client comes\n"
        "How\n"
        "  --port N                     (any free one)\n"
        "  --ipv6                       on ::1\n"
        "  --tls                        with a certificate made at start, or\n"
        "  --cert FILE --key FILE       with this one\n"
        "  --user U --password P        ask for a login\n"
        "  --connections N              refuse more, with --limit-code CODE (502)\n"
        "  --greeting CODE              200, 201, 400 or 502\n"
        "  --latency MS --jitter MS     before each answer\n"
        "  --handshake MS               before the TLS handshake\n"
        "  --rate BYTES                 a second and connection; K, M and G are understood\n"
        "  --stragglers PERMILLE        of articles at a tenth of the rate\n"
        "  --idle-close MS              close connections that idle\n"
        "  --need-group  --need-mode-reader  --swap-codes  --only-basics\n"
        "  --seed N                     of everything random\n"
        "What goes wrong\n"
        "  --missing-every N            each Nth article of a file is missing\n"
        "  --bad-crc-every N            each Nth article of a file is damaged\n"
        "  --fault WHAT:KIND            WHAT: file/NAME/PART, file/NAME, a message-id or all\n"
        "While it runs\n"
        "  --ready-file F               \"host=… port=… ca=…\", once it can be connected to\n"
        "  --control PATH               a Unix socket (-: standard input) that takes, a line each:\n"
        "                               fault WHAT KIND [TIMES], clear, down, up, silent, loud,\n"
        "                               stall, unstall, drop, limit N, latency MS, stats, asked WHAT,\n"
        "                               hold (answers stop in the middle), release [N [TAG]] (N of\n"
        "                               them go on; all, and no more are held), tags (JSON: commands\n"
        "                               and connections by the first letter of message-ids), peak\n"
        "                               (of connections, counted anew), refusals (JSON: their times),\n"
        "                               greeting CODE, logins refuse|accept\n"
        "  --stats F                    counters as JSON, at exit; SIGUSR1 prints them at once\n"
        "  --exit-with-parent\n",
        out);
}

enum key {
    KEY_HELP = 256,
    KEY_GENERATE,
    KEY_TAG,
    KEY_PART_SIZE,
    KEY_UNEVEN,
    KEY_NZB,
    KEY_POST,
    KEY_ENCODE,
    KEY_PORT,
    KEY_IPV6,
    KEY_TLS,
    KEY_CERT,
    KEY_KEY,
    KEY_USER,
    KEY_PASSWORD,
    KEY_CONNECTIONS,
    KEY_LIMIT_CODE,
    KEY_GREETING,
    KEY_LATENCY,
    KEY_JITTER,
    KEY_HANDSHAKE,
    KEY_RATE,
    KEY_STRAGGLERS,
    KEY_IDLE,
    KEY_GROUP,
    KEY_READER,
    KEY_SWAP,
    KEY_BASICS,
    KEY_SEED,
    KEY_MISSING,
    KEY_BAD_CRC,
    KEY_FAULT,
    KEY_READY,
    KEY_CONTROL,
    KEY_STATS,
    KEY_PARENT,
};

static const struct option longs[] = {
    {"help", 0, NULL, KEY_HELP},
    {"generate", 1, NULL, KEY_GENERATE},
    {"tag", 1, NULL, KEY_TAG},
    {"part-size", 1, NULL, KEY_PART_SIZE},
    {"uneven", 0, NULL, KEY_UNEVEN},
    {"nzb", 1, NULL, KEY_NZB},
    {"post", 0, NULL, KEY_POST},
    {"encode-first", 0, NULL, KEY_ENCODE},
    {"port", 1, NULL, KEY_PORT},
    {"ipv6", 0, NULL, KEY_IPV6},
    {"tls", 0, NULL, KEY_TLS},
    {"cert", 1, NULL, KEY_CERT},
    {"key", 1, NULL, KEY_KEY},
    {"user", 1, NULL, KEY_USER},
    {"password", 1, NULL, KEY_PASSWORD},
    {"connections", 1, NULL, KEY_CONNECTIONS},
    {"limit-code", 1, NULL, KEY_LIMIT_CODE},
    {"greeting", 1, NULL, KEY_GREETING},
    {"latency", 1, NULL, KEY_LATENCY},
    {"jitter", 1, NULL, KEY_JITTER},
    {"handshake", 1, NULL, KEY_HANDSHAKE},
    {"rate", 1, NULL, KEY_RATE},
    {"stragglers", 1, NULL, KEY_STRAGGLERS},
    {"idle-close", 1, NULL, KEY_IDLE},
    {"need-group", 0, NULL, KEY_GROUP},
    {"need-mode-reader", 0, NULL, KEY_READER},
    {"swap-codes", 0, NULL, KEY_SWAP},
    {"only-basics", 0, NULL, KEY_BASICS},
    {"seed", 1, NULL, KEY_SEED},
    {"missing-every", 1, NULL, KEY_MISSING},
    {"bad-crc-every", 1, NULL, KEY_BAD_CRC},
    {"fault", 1, NULL, KEY_FAULT},
    {"ready-file", 1, NULL, KEY_READY},
    {"control", 1, NULL, KEY_CONTROL},
    {"stats", 1, NULL, KEY_STATS},
    {"exit-with-parent", 0, NULL, KEY_PARENT},
    {NULL, 0, NULL, 0},
};

/* ---- values ---- */

static bool number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    if (newsd_script_number(text, most, out) == 0 && *out >= least)
        return true;
    fprintf(stderr, "nzbfs-newsd: --%s %s: a number from %" PRIu64 " to %" PRIu64 " is expected\n",
            name, text, least, most);
    return false;
}

static bool small(const char *name, const char *text, unsigned most, unsigned scale, unsigned *out)
{
    uint64_t n;
    if (!number(name, text, 0, most / scale, &n))
        return false;
    *out = (unsigned)n * scale;
    return true;
}

static bool one_of(const char *name, const char *text, const unsigned *codes, unsigned *out)
{
    uint64_t n;
    if (!number(name, text, 200, 599, &n))
        return false;
    for (; *codes; codes++)
        if (n == *codes) {
            *out = (unsigned)n;
            return true;
        }
    fprintf(stderr, "nzbfs-newsd: --%s %s: not such a code\n", name, text);
    return false;
}

static bool generate_add(struct newsd_options *o, const char *text)
{
    const char *size = strchr(text, ':'), *seed = size ? strchr(size + 1, ':') : NULL;
    char digits[32] = "";
    uint64_t n = 0, s = o->ngenerate + 1;
    size_t len = size ? seed ? (size_t)(seed - size - 1) : strlen(size + 1) : 0;
    if (len < sizeof(digits) && size)
        memcpy(digits, size + 1, len);
    if (!size || size == text || newsd_script_number(digits, UINT64_C(1) << 50, &n) ||
        (seed && newsd_script_number(seed + 1, UINT64_MAX, &s))) {
        fprintf(stderr, "nzbfs-newsd: --generate %s: NAME:SIZE or NAME:SIZE:SEED is expected\n",
                text);
        return false;
    }
    o->generate[o->ngenerate].name = strndup(text, (size_t)(size - text));
    o->generate[o->ngenerate].size = n;
    o->generate[o->ngenerate].seed = s;
    return o->generate[o->ngenerate++].name != NULL;
}

static bool tag_add(struct newsd_options *o, const char *text)
{
    size_t len = strlen(text);
    if (len < 3 || text[len - 2] != ':' || !isalpha((unsigned char)text[len - 1])) {
        fprintf(stderr, "nzbfs-newsd: --tag %s: NAME:LETTER is expected\n", text);
        return false;
    }
    o->tags[o->ntags++] = text;
    return true;
}

char newsd_options_tag(const struct newsd_options *o, const char *name)
{
    for (unsigned i = 0; i < o->ntags; i++) {
        size_t len = strlen(o->tags[i]) - 2;
        if (strlen(name) == len && memcmp(o->tags[i], name, len) == 0)
            return o->tags[i][len + 1];
    }
    return '\0';
}

static bool switch_set(struct newsd_options *o, int key)
{
    bool *flags[] = {
        [KEY_IPV6 - KEY_HELP] = &o->cfg.ipv6,
        [KEY_TLS - KEY_HELP] = &o->cfg.tls,
        [KEY_UNEVEN - KEY_HELP] = &o->uneven,
        [KEY_ENCODE - KEY_HELP] = &o->encode_first,
        [KEY_GROUP - KEY_HELP] = &o->cfg.need_group,
        [KEY_READER - KEY_HELP] = &o->cfg.need_mode_reader,
        [KEY_SWAP - KEY_HELP] = &o->cfg.swap_codes,
        [KEY_BASICS - KEY_HELP] = &o->cfg.only_basics,
        [KEY_PARENT - KEY_HELP] = &o->exit_with_parent,
    };
    if (key < KEY_HELP || !flags[key - KEY_HELP])
        return false;
    *flags[key - KEY_HELP] = true;
    return true;
}

static bool text_set(struct newsd_options *o, int key, const char *text)
{
    const char **texts[] = {
        [KEY_NZB - KEY_HELP] = &o->nzb,
        [KEY_CERT - KEY_HELP] = &o->cfg.cert_file,
        [KEY_KEY - KEY_HELP] = &o->cfg.key_file,
        [KEY_USER - KEY_HELP] = &o->cfg.username,
        [KEY_PASSWORD - KEY_HELP] = &o->cfg.password,
        [KEY_READY - KEY_HELP] = &o->ready_file,
        [KEY_CONTROL - KEY_HELP] = &o->control,
        [KEY_STATS - KEY_HELP] = &o->stats,
        [KEY_PARENT - KEY_HELP] = NULL,
    };
    if (key < KEY_HELP || !texts[key - KEY_HELP])
        return false;
    *texts[key - KEY_HELP] = text;
    return true;
}

static bool number_set(struct newsd_options *o, int key, const char *name, const char *text)
{
    static const unsigned limits[] = {502, 400, 481, 482, 0}, greetings[] = {200, 201, 400, 502, 0};
    struct newsd_config *c = &o->cfg;
    uint64_t n = 0;
    bool good;
    switch (key) {
    case KEY_PORT:
        good = number(name, text, 0, UINT16_MAX, &n);
        c->port = (uint16_t)n;
        return good;
    case KEY_PART_SIZE:
        good = number(name, text, 1, UINT32_C(1) << 30, &n);
        o->part_size = (uint32_t)n;
        return good;
    case KEY_CONNECTIONS:
        return small(name, text, UINT32_MAX, 1, &c->max_connections);
    case KEY_LIMIT_CODE:
        return one_of(name, text, limits, &c->limit_code);
    case KEY_GREETING:
        return one_of(name, text, greetings, &c->greeting);
    case KEY_LATENCY:
        return small(name, text, UINT32_MAX, 1000, &c->latency_us);
    case KEY_JITTER:
        return small(name, text, UINT32_MAX, 1000, &c->jitter_us);
    case KEY_HANDSHAKE:
        return small(name, text, UINT32_MAX, 1000, &c->handshake_us);
    case KEY_STRAGGLERS:
        return small(name, text, 1000, 1, &c->straggler_permille);
    case KEY_IDLE:
        return small(name, text, UINT32_MAX, 1, &c->idle_close_ms);
    case KEY_RATE:
        return number(name, text, 0, UINT64_C(1) << 40, &c->rate_bps);
    case KEY_SEED:
        return number(name, text, 0, UINT64_MAX, &c->seed);
    case KEY_MISSING:
        return number(name, text, 1, UINT32_MAX, &o->missing_every);
    case KEY_BAD_CRC:
        return number(name, text, 1, UINT32_MAX, &o->bad_crc_every);
    default: /* getopt has complained */
        return false;
    }
}

static bool option_set(struct newsd_options *o, int key, const char *name, const char *text)
{
    if (key == KEY_GENERATE)
        return generate_add(o, text);
    if (key == KEY_TAG)
        return tag_add(o, text);
    if (key == KEY_FAULT)
        o->faults[o->nfaults++] = text;
    if (key == KEY_POST)
        o->cfg.greeting = 200;
    if (key == KEY_FAULT || key == KEY_POST)
        return true;
    return switch_set(o, key) || text_set(o, key, text) || number_set(o, key, name, text);
}

/* Settings that only make sense together. */
static bool is_whole(const struct newsd_options *o)
{
    const struct newsd_config *c = &o->cfg;
    const char *wrong = NULL;
    if (!c->cert_file != !c->key_file)
        wrong = "--cert and --key go together";
    else if (!c->username != !c->password)
        wrong = "--user and --password go together";
    else if (c->cert_file && !c->tls)
        wrong = "--cert and --key are for --tls";
    if (wrong)
        fprintf(stderr, "nzbfs-newsd: %s\n", wrong);
    return !wrong;
}

enum newsd_options_result newsd_options_parse(struct newsd_options *o, int argc, char **argv)
{
    int key, index = 0;
    memset(o, 0, sizeof(*o));
    o->cfg.greeting = 201;
    o->faults = calloc((size_t)argc, sizeof(*o->faults));
    o->tags = calloc((size_t)argc, sizeof(*o->tags));
    o->generate = calloc((size_t)argc, sizeof(*o->generate));
    if (!o->faults || !o->tags || !o->generate)
        return NEWSD_OPTIONS_BAD;
    while ((key = getopt_long(argc, argv, "h", longs, &index)) != -1) {
        if (key == KEY_HELP || key == 'h')
            return NEWSD_OPTIONS_HELP;
        if (key == '?' || !option_set(o, key, longs[index].name, optarg))
            return NEWSD_OPTIONS_BAD;
    }
    o->files = argv + optind;
    o->nfiles = argc - optind;
    return is_whole(o) ? NEWSD_OPTIONS_RUN : NEWSD_OPTIONS_BAD;
}

void newsd_options_fini(struct newsd_options *o)
{
    for (unsigned i = 0; i < o->ngenerate; i++)
        free(o->generate[i].name);
    free(o->generate);
    free(o->faults);
    free(o->tags);
}
