#include "nzb/nzb.h"

#include <zlib.h>

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ONE_SEGMENT "<segments><segment bytes=\"9\" number=\"1\">a@b</segment></segments>"
#define FILE_OF(subject, inside)                                                                   \
    "<file poster=\"me\" date=\"1600000000\" subject=\"" subject "\">" inside "</file>"
#define NZB_OF(inside) "<nzb xmlns=\"http://www.newzbin.com/DTD/2003/nzb\">" inside "</nzb>"

static char err[512];

static struct nzb *parse_bytes(const void *data, size_t len)
{
    struct nzb *z = NULL;
    int r = nzb_parse(data, len, "t.nzb", &z, err, sizeof(err));

    ck_assert_msg(r == 0, "%s", err);
    return z;
}

static struct nzb *parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void expect_refusal_of(const void *data, size_t len, const char *what)
{
    struct nzb *z = NULL;

    ck_assert_int_eq(nzb_parse(data, len, "t.nzb", &z, err, sizeof(err)), -EINVAL);
    ck_assert_ptr_null(z);
    ck_assert_msg(strstr(err, what) != NULL, "it says: %s", err);
    ck_assert_ptr_null(strchr(err, '\n'));
}

static void expect_refusal(const char *text, const char *what)
{
    expect_refusal_of(text, strlen(text), what);
}

/* The name of the first file of an NZB with this subject, where `prolog` stands before it. */
static void expect_file(const char *prolog, const char *subject, const char *name)
{
    char text[4096];

    snprintf(text, sizeof(text), "%s" NZB_OF(FILE_OF("%s", ONE_SEGMENT)), prolog, subject);
    struct nzb *z = parse(text);
    ck_assert_uint_eq(z->nfiles, 1);
    ck_assert_str_eq(z->files[0].name, name);
    nzb_free(z);
}

/* What becomes of a segment with this id in the XML: NULL when it is left out. */
static void expect_id(const char *in, const char *id)
{
    char text[8192];

    snprintf(text, sizeof(text),
             NZB_OF(FILE_OF("x.y (1/2)", "<segments><segment number=\"1\">%s</segment>"
                                         "<segment number=\"2\">z@z</segment></segments>")),
             in);
    struct nzb *z = parse(text);
    ck_assert_uint_eq(z->files[0].nsegments, id ? 2 : 1);
    ck_assert_str_eq(z->files[0].segments[0].message_id, id ? id : "z@z");
    ck_assert(id || z->warnings > 0);
    nzb_free(z);
}

START_TEST(a_usual_nzb_is_read_whole)
{
    struct nzb *z = parse(
        "<?xml version=\"1.0\" encoding=\"iso-8859-1\" ?>\n"
        "<!DOCTYPE nzb PUBLIC \"-//newzBin//DTD NZB 1.1//EN\" \"http://x.example/nzb-1.1.dtd\">\n"
        "<nzb xmlns=\"http://www.newzbin.com/DTD/2003/nzb\">\n"
        "<head><meta type=\"Title\">A &amp; B</meta><meta type=\"password\"> s3cret </meta>"
        "<meta type=\"tag\">HD</meta><meta type=\"tag\">x</meta></head>\n"
        "<file poster=\"Tom &lt;t@x&gt;\" date=\"1600000000\" subject=\"[1/2] - &quot;a.mkv&quot; "
        "yEnc (1/3)\">\n<groups><group>alt.b.x</group><group>alt.b.y</group></groups>\n"
        "<segments>\n<segment bytes=\"300\" number=\"3\">c@x</segment>\n"
        "<segment bytes=\"100\" number=\"1\">a@x</segment>\n"
        "<segment bytes=\"200\" number=\"2\"> b@x </segment>\n</segments>\n</file>\n"
        "<file poster=\"Tom &lt;t@x&gt;\" date=\"1600000001\" subject=\"b.mkv (1/1)\">"
        "<groups><group>alt.b.x</group><group>alt.b.y</group></groups>" ONE_SEGMENT
        "</file></nzb>\n");
    const struct nzb_file *f = z->files;

    ck_assert_uint_eq(z->nfiles, 2);
    ck_assert_uint_eq(z->nsegments, 4);
    ck_assert_uint_eq(z->warnings, 0);
    ck_assert_str_eq(f->name, "a.mkv");
    ck_assert_str_eq(f->subject, "[1/2] - \"a.mkv\" yEnc (1/3)");
    ck_assert_str_eq(f->poster, "Tom <t@x>");
    ck_assert_uint_eq(f->posted_s, 1600000000);
    ck_assert_uint_eq(f->bytes, 600);
    ck_assert_uint_eq(f->parts, 3);
    ck_assert_uint_eq(f->ngroups, 2);
    ck_assert_str_eq(f->groups[1], "alt.b.y");
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(f->segments[i].number, i + 1);
        ck_assert_uint_eq(f->segments[i].bytes, (i + 1) * 100);
        ck_assert_int_eq(f->segments[i].message_id[0], (int)('a' + i));
    }
    ck_assert_ptr_eq(f[0].poster, f[1].poster);
    ck_assert_ptr_eq(f[0].groups, f[1].groups);
    ck_assert_str_eq(nzb_meta(z, "title"), "A & B");
    ck_assert_str_eq(nzb_meta(z, "password"), "s3cret");
    ck_assert_str_eq(nzb_meta(z, "tag"), "HD");
    ck_assert_ptr_null(nzb_meta(z, "category"));
    ck_assert_uint_eq(z->nmetas, 4);
    nzb_free(z);
}
END_TEST

START_TEST(what_stands_before_the_root_element_does_no_harm)
{
    expect_file("", "a.mkv (1/1)", "a.mkv");
    expect_file("\n \r\n\t<?xml version=\"1.0\"?>", "a.mkv (1/1)", "a.mkv");
    expect_file("\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>", "a.mkv", "a.mkv");
    expect_file("<!-- don't > \"-- ---><?php echo '<nzb>' ?>", "a.mkv", "a.mkv");
    expect_file("<!DOCTYPE nzb [<!-- ]> ' --><!ELEMENT nzb (\"]>\")> ]>", "a.mkv", "a.mkv");
}
END_TEST

START_TEST(names_are_sensible_whatever_the_declaration_says)
{
    static const char utf8[] = "<?xml version=\"1.0\" encoding=\"utf-8\"?>";
    static const char latin[] = "<?xml version=\"1.0\" encoding='iso-8859-1'?>";
    static const char cyrillic[] = "<?xml version=\"1.0\" encoding=\"windows-1251\"?>";

    expect_file(utf8, "caf\xc3\xa9.mkv", "caf\xc3\xa9.mkv");
    expect_file(utf8, "caf\xe9.mkv", "caf\xc3\xa9.mkv");
    expect_file(latin, "caf\xe9.mkv", "caf\xc3\xa9.mkv");
    expect_file(latin, "caf\xc3\xa9.mkv", "caf\xc3\xa9.mkv");
    expect_file("", "caf\xe9.mkv", "caf\xc3\xa9.mkv");
    expect_file(cyrillic, "\xcf\xf0\xe8.mkv", "\xd0\x9f\xd1\x80\xd0\xb8.mkv");
    expect_file("<?xml encoding=\"no/such/../thing\"?>", "caf\xe9.mkv", "caf\xc3\xa9.mkv");
    expect_file("<?xml encoding=\"UTF-16\"?>", "caf\xe9.mkv", "caf\xc3\xa9.mkv");
}
END_TEST

START_TEST(utf16_is_read_with_and_without_its_mark)
{
    static const char text[] = NZB_OF(FILE_OF("caf\xe9.mkv", ONE_SEGMENT));
    unsigned char wide[2 * sizeof(text) + 2];

    for (unsigned k = 0; k < 4; k++) {
        bool little = k & 1, mark = k & 2;
        size_t n = 0;
        if (mark)
            wide[n++] = little ? 0xff : 0xfe, wide[n++] = little ? 0xfe : 0xff;
        for (size_t i = 0; i + 1 < sizeof(text); i++) {
            wide[n++] = little ? (unsigned char)text[i] : 0;
            wide[n++] = little ? 0 : (unsigned char)text[i];
        }
        struct nzb *z = parse_bytes(wide, n);
        ck_assert_str_eq(z->files[0].name, "caf\xc3\xa9.mkv");
        nzb_free(z);
        expect_refusal_of(wide, n - 9, "cut off");
    }
}
END_TEST

START_TEST(stray_markup_in_a_subject_is_text)
{
    expect_file("", "&quot;Tom&Jerry & Co &nbsp; &#x26; &#38;.mkv&quot;",
                "Tom&Jerry & Co &nbsp; & &.mkv");
    expect_file("", "&quot;a<b> < c.mkv&quot;", "a<b> < c.mkv");
    expect_file("", "&quot;&amp;&&&amp;amp;.mkv&quot;", "&&&&.mkv");
    expect_file("", "&quot;a&#0;b&#8;c&#xFFFF;&#x110000;&#99999999;.mkv&quot;",
                "a\xef\xbf\xbd"
                "b\xef\xbf\xbd"
                "c\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd.mkv");
    expect_file("", "&#x;&#;&;&.mkv", "&#x;&#;&;&.mkv");
    expect_file("", "..", "__");
    expect_file("", "&quot;../../etc/passwd&quot;", ".._.._etc_passwd");
}
END_TEST

START_TEST(message_ids_come_as_they_are_written)
{
    expect_id("&lt;a@b&gt;", "a@b");
    expect_id("\n\t a@b \r\n", "a@b");
    expect_id("my file?1=0:750000", "my file?1=0:750000");
    expect_id("a&b&amp;c@d", "a&b&c@d");
    expect_id("<![CDATA[a&b<]]>", NULL);
    expect_id("<![CDATA[a&b]]>", "a&b");
    expect_id("a<!-- b -->c@d", "ac@d");
    expect_id("caf\xc3\xa9@x", "caf\xc3\xa9@x");
}
END_TEST

START_TEST(a_message_id_that_could_break_a_command_never_gets_in)
{
    char id[600];

    expect_id("a@b&#13;&#10;QUIT", NULL);
    expect_id("a@b\r\nQUIT", NULL);
    expect_id("a&#0;b", NULL);
    expect_id("a\x01"
              "b",
              NULL);
    expect_id("a\tb", NULL);
    expect_id("a\x7f"
              "b",
              NULL);
    expect_id("a&gt; b", NULL);
    expect_id("a&lt;b", NULL);
    expect_id("", NULL);
    expect_id("&lt;&gt;", NULL);
    memset(id, 'x', sizeof(id));
    id[NZB_MESSAGE_ID_MAX] = '\0';
    expect_id(id, id);
    id[NZB_MESSAGE_ID_MAX] = 'x';
    id[NZB_MESSAGE_ID_MAX + 1] = '\0';
    expect_id(id, NULL);
}
END_TEST

START_TEST(a_group_that_could_break_a_command_is_left_out)
{
    struct nzb *z = parse(NZB_OF(FILE_OF(
        "x.y", "<groups><group>a.b&#10;QUIT</group><group> a.c </group><group/><group>a b</group>"
               "</groups>" ONE_SEGMENT)));

    ck_assert_uint_eq(z->files[0].ngroups, 1);
    ck_assert_str_eq(z->files[0].groups[0], "a.c");
    ck_assert_uint_eq(z->warnings, 3);
    nzb_free(z);
}
END_TEST

START_TEST(odd_segments_are_mended)
{
    struct nzb *z = parse(
        NZB_OF(FILE_OF("x.y (1/9)", "<segments><segment number=\"5\" bytes=\"-1\">e</segment>"
                                    "<segment bytes=\"99999999999999999999\">after-e</segment>"
                                    "<segment number=\"2\" bytes=\"x\">b</segment>"
                                    "<segment number=\"2\" bytes=\"7\">b-again</segment>"
                                    "<segment number=\"99999999999\">after-b</segment>"
                                    "<segment number=\"-1\">after-that</segment>"
                                    "<segment number=\"4\">d</segment>"
                                    "</segments>")));
    static const struct {
        uint32_t number;
        const char *id;
    } want[] = {{2, "b"}, {3, "after-b"}, {4, "d"}, {5, "e"}, {6, "after-e"}};
    const struct nzb_file *f = z->files;

    ck_assert_uint_eq(f->nsegments, 5);
    for (uint32_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(f->segments[i].number, want[i].number);
        ck_assert_str_eq(f->segments[i].message_id, want[i].id);
        ck_assert_uint_eq(f->segments[i].bytes, 0);
    }
    ck_assert_uint_eq(f->parts, 9);
    ck_assert_uint_gt(z->warnings, 5);
    nzb_free(z);
}
END_TEST

START_TEST(segments_counted_from_zero_are_counted_from_one)
{
    struct nzb *z = parse(NZB_OF(FILE_OF("x.y", "<segments><segment number=\"1\">b</segment>"
                                                "<segment number=\"0\">a</segment></segments>")));

    ck_assert_uint_eq(z->files[0].segments[0].number, 1);
    ck_assert_str_eq(z->files[0].segments[0].message_id, "a");
    ck_assert_uint_eq(z->files[0].segments[1].number, 2);
    ck_assert_uint_eq(z->files[0].parts, 2);
    nzb_free(z);
}
END_TEST

START_TEST(unknown_elements_and_attributes_are_ignored)
{
    struct nzb *z =
        parse("<n:nzb xmlns:n='urn:x' v='1'><foo><bar a='b'>text</bar></foo>"
              "<n:file subject='x.y' more='1'><segments><extra/><n:segment number='1' "
              "crc='5'>a<b>no</b>@b</n:segment></segments><file/></n:file></n:nzb>trailing");

    ck_assert_uint_eq(z->nfiles, 1);
    ck_assert_str_eq(z->files[0].segments[0].message_id, "a@b");
    ck_assert_str_eq(z->files[0].poster, "");
    ck_assert_uint_eq(z->files[0].posted_s, 0);
    nzb_free(z);
}
END_TEST

START_TEST(a_file_without_segments_is_left_out)
{
    struct nzb *z = parse(NZB_OF(FILE_OF("x.y", "") FILE_OF("z.w", ONE_SEGMENT)));

    ck_assert_uint_eq(z->nfiles, 1);
    ck_assert_str_eq(z->files[0].name, "z.w");
    ck_assert_uint_eq(z->warnings, 1);
    nzb_free(z);
    expect_refusal(NZB_OF("\n" FILE_OF("x.y", "<segments/>")), "t.nzb:2: no segments");
}
END_TEST

START_TEST(what_is_no_nzb_is_refused_with_line_and_reason)
{
    expect_refusal("", "t.nzb:1: empty");
    expect_refusal(" \n\n ", "t.nzb:3:");
    expect_refusal("<html><body/></html>", "t.nzb:1: not an NZB: its root element is <html>");
    expect_refusal("hello", "t.nzb:1:");
    expect_refusal("<nzb></nzb>", "t.nzb:1: no files");
    expect_refusal("\n<nzb><file></nzb>", "t.nzb:2:");
    expect_refusal("\x1f", "t.nzb:1:");
    expect_refusal_of("\0\0\0\0", 4, "t.nzb:1:");
}
END_TEST

START_TEST(an_nzb_cut_off_anywhere_is_refused)
{
    static const char whole[] = "<?xml version='1.0'?>\n<!-- x -->" NZB_OF(
        "\n<head><meta type='title'>t</meta></head>" FILE_OF(
            "&quot;x.y&quot; (1/1)", "<groups><group>g</group></groups>" ONE_SEGMENT));
    size_t len = strlen(whole);

    for (size_t n = 0; n < len; n++)
        expect_refusal_of(whole, n, "t.nzb:");
    expect_refusal_of(whole, len - 13, "t.nzb:3: cut off inside the <file> of line 3");
    nzb_free(parse_bytes(whole, len));
}
END_TEST

START_TEST(no_entity_is_ever_expanded_or_loaded)
{
    struct nzb *z = parse(
        "<!DOCTYPE nzb [<!ENTITY a \"hahahahaha\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">"
        "<!ENTITY % p SYSTEM \"file:///etc/passwd\"> %p;"
        "<!ENTITY x SYSTEM \"file:///etc/passwd\"><!ATTLIST file poster CDATA \"by default\">]>"
        "<nzb><head><meta type='t'>&x;&b;</meta></head><file subject='&b; &x;'>" ONE_SEGMENT
        "</file></nzb>");

    ck_assert_str_eq(z->files[0].subject, "&b; &x;");
    ck_assert_str_eq(z->files[0].poster, "");
    ck_assert_str_eq(nzb_meta(z, "t"), "&x;&b;");
    nzb_free(z);
}
END_TEST

/* `n` times `piece` between `before` and `after`. */
static char *repeat(const char *before, const char *piece, size_t n, const char *after)
{
    size_t a = strlen(before), p = strlen(piece);
    char *s = malloc(a + n * p + strlen(after) + 1);

    ck_assert_ptr_nonnull(s);
    memcpy(s, before, a);
    for (size_t i = 0; i < n; i++)
        memcpy(s + a + i * p, piece, p);
    strcpy(s + a + n * p, after);
    return s;
}

START_TEST(hostile_shapes_are_refused_early)
{
    char *s = repeat("<nzb>", "<a>", 1000000, "");
    expect_refusal(s, "t.nzb:1: elements are nested more than 64 deep");
    free(s);
    s = repeat("<nzb><a ", "b='' ", 100000, "></nzb>");
    expect_refusal(s, "t.nzb:1: a tag with more than 64 attributes");
    free(s);
    s = repeat("<nzb>\n<a ", "bbbbbbbb", 1 << 18, "></nzb>");
    expect_refusal(s, "t.nzb:2: a tag of more than 1 MiB");
    free(s);
    s = repeat("<nzb><!--", "-", 1 << 22, "");
    expect_refusal(s, "t.nzb:1: ends inside a comment");
    free(s);
}
END_TEST

START_TEST(a_name_of_64_kib_is_shortened)
{
    char *s = repeat("<nzb><file subject=\"&quot;", "x&amp;", 1 << 15,
                     ".mkv&quot; (1/1)\">" ONE_SEGMENT "</file></nzb>");
    struct nzb *z = parse(s);

    ck_assert_uint_eq(strlen(z->files[0].name), 255);
    ck_assert_str_eq(z->files[0].name + 251, ".mkv");
    ck_assert_uint_eq(strlen(z->files[0].subject), (1 << 16) + 12);
    nzb_free(z);
    free(s);
}
END_TEST

START_TEST(text_that_does_not_fit_costs_its_element_only)
{
    char *s = repeat("<nzb><head><meta type='title'>", "0123456789abcdef", 1 << 17,
                     "</meta></head>" FILE_OF("x.y", ONE_SEGMENT) "</nzb>");
    struct nzb *z = parse(s);

    ck_assert_ptr_null(nzb_meta(z, "title"));
    ck_assert_uint_eq(z->nfiles, 1);
    nzb_free(z);
    free(s);
}
END_TEST

START_TEST(files_of_one_name_are_told_apart)
{
    struct nzb *z =
        parse(NZB_OF(FILE_OF("film.mkv", ONE_SEGMENT) FILE_OF("film.mkv", ONE_SEGMENT)
                         FILE_OF("&quot;film (2).mkv&quot;", ONE_SEGMENT)
                             FILE_OF("film.mkv", ONE_SEGMENT) FILE_OF("Film.mkv", ONE_SEGMENT)));

    ck_assert_str_eq(z->files[0].name, "film.mkv");
    ck_assert_str_eq(z->files[1].name, "film (3).mkv");
    ck_assert_str_eq(z->files[2].name, "film (2).mkv");
    ck_assert_str_eq(z->files[3].name, "film (4).mkv");
    ck_assert_str_eq(z->files[4].name, "Film.mkv");
    nzb_free(z);
}
END_TEST

static double cpu_s(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6;
}

/* Not a limit in seconds, which machines differ in: sixteen times the work may cost some sixteen times
 * the processor time, not 256 times. */
static void expect_linear(const char *before, const char *piece, const char *after)
{
    double cost[2];

    for (unsigned k = 0; k < 2; k++) {
        char *s = repeat(before, piece, k ? 1 << 16 : 1 << 12, after);
        double from = cpu_s();
        nzb_free(parse(s));
        cost[k] = cpu_s() - from;
        free(s);
    }
    ck_assert_msg(cost[1] < 0.5 + 64 * cost[0], "%.3f s and then %.3f s", cost[0], cost[1]);
}

START_TEST(nothing_is_quadratic)
{
    expect_linear("<nzb>", FILE_OF("&quot;film.mkv&quot;", ONE_SEGMENT), "</nzb>");
    expect_linear("<nzb><file subject='x'>" ONE_SEGMENT, "<group>a</group>", "</file></nzb>");
    expect_linear("<nzb><file subject='x'>", "<segment number='7'>a</segment>", "</file></nzb>");
    expect_linear("<nzb><file subject='x'>", "<segment>a</segment>", "</file></nzb>");
    expect_linear("<nzb><file subject='x'>" ONE_SEGMENT, "<!-- x -->&amp;&", "</file></nzb>");
}
END_TEST

START_TEST(memory_is_proportional_to_the_segments)
{
    enum { N = 100000 };
    char *s = repeat("<nzb><file subject='x'>",
                     "<segment bytes='739867'>part1of1000.abcdefghijkl@powerpost</segment>", N,
                     "</file></nzb>");
    struct nzb *z = parse(s);

    ck_assert_uint_eq(z->nsegments, N);
    ck_assert_uint_le(z->arena.used, N * (16 + 35) + 1000);
    ck_assert_uint_le(z->arena.total, N * (16 + 35) + (3 << 20));
    nzb_free(z);
    free(s);
}
END_TEST

/* ---- files ---- */

static void write_file(char *path, const void *data, size_t len)
{
    strcpy(path, "/tmp/nzbfs-test-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
    close(fd);
}

/* data[len] as one gzip member; how long it is. */
static size_t pack(const void *data, size_t len, unsigned char *out, size_t cap)
{
    z_stream s = {0};

    ck_assert_int_eq(deflateInit2(&s, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    s.next_in = (unsigned char *)(uintptr_t)data;
    s.avail_in = (unsigned)len;
    s.next_out = out;
    s.avail_out = (unsigned)cap;
    ck_assert_int_eq(deflate(&s, Z_FINISH), Z_STREAM_END);
    size_t n = cap - s.avail_out;
    deflateEnd(&s);
    return n;
}

START_TEST(gzip_is_told_by_its_first_bytes)
{
    static const char text[] = NZB_OF(FILE_OF("x.y", ONE_SEGMENT));
    static unsigned char packed[4096];
    size_t half = pack(text, 20, packed, sizeof(packed));
    size_t n = half + pack(text + 20, strlen(text) - 20, packed + half, sizeof(packed) - half);
    char path[64];
    struct nzb *z;

    write_file(path, packed, n + 100); /* two members and padding */
    ck_assert_msg(nzb_load(path, &z, err, sizeof(err)) == 0, "%s", err);
    ck_assert_str_eq(z->files[0].name, "x.y");
    nzb_free(z);
    unlink(path);
    for (size_t cut = 2; cut < n; cut++)
        expect_refusal_of(packed, cut, "t.nzb:");
    packed[half / 2] ^= 0x55;
    expect_refusal_of(packed, n, "damaged");
}
END_TEST

START_TEST(a_gzip_bomb_is_refused)
{
    size_t len = (size_t)70 << 20, cap = 1 << 20;
    char *zeros = malloc(len);
    unsigned char *packed = malloc(cap);

    ck_assert(zeros && packed);
    memset(zeros, ' ', len);
    size_t n = pack(zeros, len, packed, cap);
    free(zeros);
    expect_refusal_of(packed, n, "two hundredfold");
    free(packed);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_says_why)
{
    struct nzb *z;

    ck_assert_int_eq(nzb_load("/nonexistent.nzb", &z, err, sizeof(err)), -ENOENT);
    ck_assert_str_eq(err, "/nonexistent.nzb: No such file or directory");
    ck_assert_int_eq(nzb_load("/tmp", &z, err, sizeof(err)), -EISDIR);
    ck_assert_str_eq(err, "/tmp: Is a directory");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nzb/nzb");
    TCase *t = tcase_create("well-meant");

    tcase_add_test(t, a_usual_nzb_is_read_whole);
    tcase_add_test(t, what_stands_before_the_root_element_does_no_harm);
    tcase_add_test(t, names_are_sensible_whatever_the_declaration_says);
    tcase_add_test(t, utf16_is_read_with_and_without_its_mark);
    tcase_add_test(t, stray_markup_in_a_subject_is_text);
    tcase_add_test(t, message_ids_come_as_they_are_written);
    tcase_add_test(t, odd_segments_are_mended);
    tcase_add_test(t, segments_counted_from_zero_are_counted_from_one);
    tcase_add_test(t, unknown_elements_and_attributes_are_ignored);
    tcase_add_test(t, a_file_without_segments_is_left_out);
    tcase_add_test(t, files_of_one_name_are_told_apart);
    suite_add_tcase(s, t);

    t = tcase_create("hostile");
    tcase_add_test(t, a_message_id_that_could_break_a_command_never_gets_in);
    tcase_add_test(t, a_group_that_could_break_a_command_is_left_out);
    tcase_add_test(t, what_is_no_nzb_is_refused_with_line_and_reason);
    tcase_add_test(t, an_nzb_cut_off_anywhere_is_refused);
    tcase_add_test(t, no_entity_is_ever_expanded_or_loaded);
    tcase_add_test(t, hostile_shapes_are_refused_early);
    tcase_add_test(t, a_name_of_64_kib_is_shortened);
    tcase_add_test(t, text_that_does_not_fit_costs_its_element_only);
    tcase_add_test(t, nothing_is_quadratic);
    tcase_add_test(t, memory_is_proportional_to_the_segments);
    suite_add_tcase(s, t);

    t = tcase_create("files");
    tcase_add_test(t, gzip_is_told_by_its_first_bytes);
    tcase_add_test(t, a_gzip_bomb_is_refused);
    tcase_add_test(t, a_file_that_cannot_be_read_says_why);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());

    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
