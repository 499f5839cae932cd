#include "archive/names.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- volumes ---- */

static void expect_part(const char *name, enum names_scheme scheme, const char *base,
                        uint32_t volume)
{
    struct names_part p = names_part(name);

    ck_assert_msg(p.scheme == scheme, "%s: scheme %d", name, p.scheme);
    ck_assert_msg(p.base == strlen(base) && !strncmp(name, base, p.base), "%s: base %zu", name,
                  p.base);
    ck_assert_msg(p.volume == volume, "%s: volume %u", name, p.volume);
}

START_TEST(rar_volumes_are_numbered_in_both_ways)
{
    expect_part("x.part001.rar", NAMES_RAR_PART, "x", 0);
    expect_part("x.part9.rar", NAMES_RAR_PART, "x", 8);
    expect_part("x.part10.rar", NAMES_RAR_PART, "x", 9);
    expect_part("x.part010.rar", NAMES_RAR_PART, "x", 9);
    expect_part("x.part00.rar", NAMES_RAR_PART, "x", 0);
    expect_part("X.Y.2019.PART12.RAR", NAMES_RAR_PART, "X.Y.2019", 11);
    expect_part("a film part 1.part02.rar", NAMES_RAR_PART, "a film part 1", 1);
    expect_part("x.part1.exe", NAMES_RAR_PART, "x", 0);
    expect_part("x_part3.rar", NAMES_RAR_PART, "x", 2);
    expect_part("x.rar", NAMES_RAR_OLD, "x", 0);
    expect_part("x y.RAR", NAMES_RAR_OLD, "x y", 0);
    expect_part("counterpart1.rar", NAMES_RAR_OLD, "counterpart1", 0);
    expect_part("x.r00", NAMES_RAR_OLD, "x", 1);
    expect_part("x.r99", NAMES_RAR_OLD, "x", 100);
    expect_part("x.s00", NAMES_RAR_OLD, "x", 101);
    expect_part("x.T17", NAMES_RAR_OLD, "x", 218);
    expect_part("x.r100", NAMES_RAR_OLD, "x", 101);
}
END_TEST

START_TEST(other_sets_are_numbered_behind_their_names)
{
    expect_part("x.7z", NAMES_7Z, "x", 0);
    expect_part("x.7z.001", NAMES_7Z, "x", 0);
    expect_part("x.7Z.1000", NAMES_7Z, "x", 999);
    expect_part("x.zip", NAMES_ZIP, "x", 0);
    expect_part("x.zip.002", NAMES_ZIP, "x", 1);
    expect_part("x.z01", NAMES_ZIP, "x", 1);
    expect_part("x.001", NAMES_SPLIT, "x", 0);
    expect_part("x.mkv.042", NAMES_SPLIT, "x.mkv", 41);
    expect_part("x.rar.003", NAMES_SPLIT, "x.rar", 2);
    expect_part("x.par2", NAMES_PAR2, "x", 0);
    expect_part("x.vol000+01.par2", NAMES_PAR2, "x", 1);
    expect_part("x.mkv.Vol03+04.PAR2", NAMES_PAR2, "x.mkv", 4);
    expect_part("x.vol7-15.par2", NAMES_PAR2, "x", 15);
    expect_part("volume+1.par2", NAMES_PAR2, "volume+1", 0);
}
END_TEST

START_TEST(what_is_no_volume_is_none)
{
    static const char *const names[] = {
        "",           ".",     "x",     "x.mkv", ".rar",    ".par2",        "film.2019",
        "film.1080",  "x.01",  ".001",  "x.r0",  "x.r1000", "x.a01",        "part1.mkv",
        "x.part1",    "x.7zz", "x.7z.", "x.z00", "x.s123",  "x.part01.mkv", "setup.exe",
        "x.part.rar2"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        expect_part(names[i], NAMES_NONE, names[i], 0);
    expect_part("x.part99999999999.rar", NAMES_RAR_OLD, "x.part99999999999", 0);
}
END_TEST

/* ---- obfuscation ---- */

START_TEST(random_names_are_obfuscated)
{
    static const char *const names[] = {
        "d41d8cd98f00b204e9800998ecf8427e",
        "D41D8CD98F00B204E9800998ECF8427E.mkv",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709.rar",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "d41d8cd98f00b204e9800998ecf8427e.part01.rar",
        "d41d8cd98f00b204e9800998ecf8427e.r17",
        "d41d8cd98f00b204e9800998ecf8427e.7z.001",
        "d41d8cd98f00b204e9800998ecf8427e.vol00+01.par2",
        "d41d8cd98f00b204e9800998ecf8427e.mkv.001",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}.mp4",
        "abc.xyz.a1b2c3d4",
        "abc.xyz.a4c567edbcbf27.BLA",
        "b2.bef89a622e4a23f07b0d3757ad5e8a.a0",
        "a1b2c3d4e5f6a7b8.bin",
        "Xk3fQ9aLmZ2pR7tW.mkv",
        "0Zq8vN4kT1bYx6Hs.rar",
        "k9x2m4p7q1w8e5r3t6",
        "SbRwJvKqTzXmLpDfGhNc",
        "xkqjvwzpfhgbtdmcnlrs.mkv",
        "zvbkqwxjfpmhgtdrcnls",
        "Ab3dE5fG7hJ9kL1mN3pQ5rS7tU9v",
        "QWxhZGRpbjpvcGVuIHNlc2FtZQ2x9Z",
        "uX3dLkq9fQz2TbV7k_hWn4RsYp6Mc",
        "98347598347598347598345",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ck_assert_msg(names_obfuscated(names[i]), "%s", names[i]);
}
END_TEST

START_TEST(names_that_people_gave_are_not)
{
    static const char *const names[] = {
        "",
        "a",
        "film.mkv",
        "Big.Buck.Bunny.2008.1080p.BluRay.x264-GROUP.mkv",
        "big.buck.bunny.2008.german.dl.1080p.bluray.x264-grp.part01.rar",
        "Show.Name.S01E02.720p.WEB-DL.DD5.1.H.264-NTb",
        "show_name_s01e02e03_hdtv_x264",
        "ShowNameS01E02720px264",
        "Show - 1x02 - The One With Numbers 12345",
        "[Group] Anime Title - 01 [1080p][ABCD1234].mkv",
        "(2019) Artist - Album [FLAC]",
        "01-artist-track_name-2003-grp.mp3",
        "ThisIsAMovieName.avi",
        "TheLordOfTheRings1080p.mkv",
        "MyMovieIsTheBest2019.mkv",
        "iPhoneBackup20190101a.zip",
        "IMG_20190101_123000",
        "IMG20190101123000.jpg",
        "DSC_0001.jpg",
        "20190101.mkv",
        "1234567890",
        "Donaudampfschifffahrtsgesellschaftskapit\xc3\xa4n.avi",
        "Donaudampfschifffahrtsgesellschaftskapitaen.avi",
        "Rindfleischetikettierungsueberwachungsaufgabenuebertragungsgesetz",
        "Geschwindigkeitsbegrenzung.avi",
        "supercalifragilisticexpialidocious.mkv",
        "antidisestablishmentarianism",
        "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch.mp4",
        "incomprehensibilities.mkv",
        "lentokonesuihkuturbiinimoottoriapumekaanikkoaliupseerioppilas",
        "Chrzaszczbrzmiwtrzcinie.mkv",
        "Konstantynopolitanczykowianeczka",
        "nejneobhospodarovavatelnejsi",
        "megszentsegtelenithetetlensegeskedeseitekert",
        "Muvaffakiyetsizlestiricilestiriveremeyebileceklerimizden",
        "anticonstitutionnellement.avi",
        "meervoudigepersoonlijkheidsstoornis",
        "Realisationsvinstbeskattning",
        "desproporcionadamente.mkv",
        "Szczebrzeszyn.2011.PL.DVDRip.XviD",
        "Le.Fabuleux.Destin.2001.FRENCH.BRRip.x264.AC3-ABC",
        "La vie est belle",
        "\xd0\x92\xd0\xbe\xd0\xb9\xd0\xbd\xd0\xb0.1967.mkv",
        "\xe4\xb8\x83\xe4\xba\xba\xe3\x81\xae\xe4\xbe\x8d",
        "Shichininnosamurai.avi",
        "watashinokawaiineko",
        "ubuntu-22.04.3-desktop-amd64.iso",
        "debian-12.1.0-amd64-netinst",
        "linuxkernel6118source.tar.gz",
        "WindowsServer2019x64",
        "Adobe.Photoshop.CC.2019.v20.0.1",
        "Encyclopaedia-Britannica-1911-Vol01",
        "9780306406157.epub",
        "backup-2024-01-02T03-04-05Z",
        "VTS_01_1.VOB",
        "00001.m2ts",
        "R2D2story",
        "XviDHDTVDVDRipPROPERREPACK.mkv",
        "H264AAC51DTSHDMA.mkv",
        "qwertyuiop.mkv",
        "a1b2c3d4.mkv",
        "Some.Movie.2019-a8f7d9e0b1c2d3e4f5a6b7c8d9e0f1a2.mkv",
        "grp-some.film.2020.sample",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "part one of the story.rar",
        "rtl-the.show.s03e04.german.720p.web.h264",
        "tvp-themandalorian-s01e01-1080p",
        "wvl-dschungelbuch1080p",
        "nyheterna.rapport.kvallsnyheter",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ck_assert_msg(!names_obfuscated(names[i]), "%s", names[i]);
}
END_TEST

static uint32_t dice_state = 7;

static uint32_t dice(void)
{
    dice_state = dice_state * 1664525u + 1013904223u;
    return dice_state >> 10;
}

static unsigned found_of(const char *letters, size_t len)
{
    char name[80];
    unsigned found = 0;

    for (unsigned i = 0; i < 2000; i++) {
        for (size_t k = 0; k < len; k++)
            name[k] = letters[dice() % strlen(letters)];
        strcpy(name + len, ".mkv");
        found += names_obfuscated(name);
    }
    return found;
}

/* Not each of them can be told; nearly all. */
START_TEST(random_letters_and_digits_are_told_as_a_rule)
{
    static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    ck_assert_uint_eq(found_of("0123456789abcdef", 32), 2000);
    ck_assert_uint_ge(found_of("0123456789abcdef", 24), 1990);
    ck_assert_uint_ge(found_of("0123456789abcdef", 16), 1700);
    ck_assert_uint_ge(found_of(all, 16), 1450);
    ck_assert_uint_ge(found_of(all, 20), 1750);
    ck_assert_uint_ge(found_of(all, 32), 1800);
    ck_assert_uint_ge(found_of(all + 26, 24), 1800);
    ck_assert_uint_ge(found_of("abcdefghijklmnopqrstuvwxyz0123456789", 20), 1850);
    ck_assert_uint_ge(found_of("abcdefghijklmnopqrstuvwxyz", 32), 1800);
}
END_TEST

/* ---- magic ---- */

static void expect_magic(const void *head, size_t len, const char *ext)
{
    uint8_t buf[512] = {0};
    memcpy(buf, head, len);
    const char *got = names_magic(buf, sizeof(buf));

    if (!ext)
        ck_assert_ptr_null(got);
    else
        ck_assert_msg(got && !strcmp(got, ext), "%s for %s", got ? got : "nothing", ext);
}

#define EXPECT_MAGIC(text, ext) expect_magic(text, sizeof(text) - 1, ext)

START_TEST(first_bytes_tell_the_kind)
{
    EXPECT_MAGIC("\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x23\x42\x86\x81\x01\x42\x82\x88"
                 "matroska",
                 ".mkv");
    EXPECT_MAGIC("\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm", ".webm");
    EXPECT_MAGIC("\0\0\0\x20"
                 "ftypisom",
                 ".mp4");
    EXPECT_MAGIC("\0\0\0\x20"
                 "ftypM4V ",
                 ".m4v");
    EXPECT_MAGIC("\0\0\0\x14"
                 "ftypqt  ",
                 ".mov");
    EXPECT_MAGIC("\0\0\0\x14"
                 "ftypM4A ",
                 ".m4a");
    EXPECT_MAGIC("RIFF\x10\x20\x30\x40"
                 "AVI LIST",
                 ".avi");
    EXPECT_MAGIC("RIFF\x10\x20\x30\x40WAVEfmt ", ".wav");
    EXPECT_MAGIC("Rar!\x1a\x07\x01\x00", ".rar");
    EXPECT_MAGIC("Rar!\x1a\x07\x00", ".rar");
    EXPECT_MAGIC("7z\xbc\xaf\x27\x1c", ".7z");
    EXPECT_MAGIC("PK\3\4\x14\0", ".zip");
    EXPECT_MAGIC("PAR2\0PKT", ".par2");
    EXPECT_MAGIC("fLaC\0\0\0\x22", ".flac");
    EXPECT_MAGIC("ID3\4\0", ".mp3");
    EXPECT_MAGIC("OggS\0\2", ".ogg");
    EXPECT_MAGIC("\xff\xd8\xff\xe0", ".jpg");
    EXPECT_MAGIC("\x89PNG\r\n\x1a\n", ".png");
    EXPECT_MAGIC("%PDF-1.4", ".pdf");
    EXPECT_MAGIC("\x00\x00\x01\xba\x44", ".mpg");
    EXPECT_MAGIC("\x1f\x8b\x08", ".gz");
    EXPECT_MAGIC("\x30\x26\xb2\x75\x8e\x66\xcf\x11", ".wmv");
    EXPECT_MAGIC("1\r\n00:00:01,000 --> 00:00:02,000", NULL);
    EXPECT_MAGIC("a text", NULL);
    EXPECT_MAGIC("\xff\xfb", NULL);
    EXPECT_MAGIC("", NULL);
}
END_TEST

START_TEST(packets_and_frames_tell_by_the_next_one)
{
    uint8_t head[1024] = {0};

    head[0] = head[188] = 0x47;
    ck_assert_ptr_null(names_magic(head, sizeof(head)));
    head[376] = 0x47;
    ck_assert_str_eq(names_magic(head, sizeof(head)), ".ts");
    ck_assert_ptr_null(names_magic(head, 376));
    memset(head, 0, sizeof(head));
    head[4] = head[196] = head[388] = 0x47;
    ck_assert_str_eq(names_magic(head, sizeof(head)), ".m2ts");
    memset(head, 0, sizeof(head));
    memcpy(head, "\xff\xfb\x90\x00", 4); /* 128 kbit/s at 44.1 kHz: 417 bytes */
    ck_assert_ptr_null(names_magic(head, sizeof(head)));
    memcpy(head + 417, "\xff\xfb\x90\x00", 4);
    ck_assert_str_eq(names_magic(head, sizeof(head)), ".mp3");
}
END_TEST

/* Every beginning of every kind, and nothing is read behind it. */
START_TEST(short_heads_are_read_to_their_end_only)
{
    static const char heads[][16] = {"\x1a\x45\xdf\xa3webm",
                                     "\0\0\0\024ftypqt  ",
                                     "RIFF1234AVI ",
                                     "Rar!\x1a\x07\x01",
                                     "PK\3\4",
                                     "\xff\xfb\x90",
                                     "OggS",
                                     "\x47"};

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        for (size_t len = 0; len <= 16; len++) {
            uint8_t *exact = malloc(len ? len : 1);
            memcpy(exact, heads[i], len);
            (void)names_magic(exact, len);
            ck_assert(names_magic_fits("x.bin", exact, len) == !names_magic(exact, len));
            free(exact);
        }
}
END_TEST

static bool fits(const char *name, const char *head, size_t len)
{
    uint8_t buf[64] = {0};
    memcpy(buf, head, len);
    return names_magic_fits(name, buf, sizeof(buf));
}

START_TEST(an_extension_fits_all_that_goes_by_it)
{
    static const char rar[] = "Rar!\x1a\x07\x01", zip[] = "PK\3\4", mkv[] = "\x1a\x45\xdf\xa3";

    ck_assert(fits("x.rar", rar, 7) && fits("x.part07.rar", rar, 7) && fits("x.r42", rar, 7));
    ck_assert(fits("x.cbr", rar, 7) && fits("x.001", rar, 7) && !fits("x.mkv", rar, 7));
    ck_assert(fits("x.zip", zip, 4) && fits("x.EPUB", zip, 4) && fits("x.docx", zip, 4));
    ck_assert(!fits("x", zip, 4) && !fits("x.rar", zip, 4));
    ck_assert(fits("x.mkv", mkv, 4) && fits("x.mka", mkv, 4) && fits("x.mkv.001", mkv, 4));
    ck_assert(!fits("x.mp4", mkv, 4) && !fits("x.part01.rar", mkv, 4) && !fits(".mkv", mkv, 4));
    ck_assert(fits("x.7z.002", mkv, 4) && !fits("x.7z.001", mkv, 4));
    ck_assert(fits("x.srt", "1\r\n", 3) && fits("x", "1\r\n", 3));
}
END_TEST

/* ---- aside, passwords ---- */

START_TEST(what_comes_along_is_aside)
{
    static const char *const aside[] = {
        "x.nfo",          "x.SFV",           "x.par2",     "x.vol00+01.par2", "x.jpg",
        "x.txt",          "x.srr",           "x.nzb",      "Sample/x.mkv",    "grp-sample-x.mkv",
        "x (sample).mkv", "film-sample.mkv", "SAMPLE.avi", "Proof/x.mkv",
    };
    static const char *const not [] = {"x.mkv",        "x.srt",     "x.rar", "resampled.flac",
                                       "example.mkv",  "x.nfo.mkv", "txt",   ".nfo",
                                       "samplers.mp4", "x.idx",     "x.sub", ""};

    for (size_t i = 0; i < sizeof(aside) / sizeof(aside[0]); i++)
        ck_assert_msg(names_aside(aside[i]), "%s", aside[i]);
    for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
        ck_assert_msg(!names_aside(not [i]), "%s", not [i]);
}
END_TEST

static void expect_password(const char *name, const char *password)
{
    const char *got = NULL;
    size_t len = 0;
    bool has = names_password(name, &got, &len);

    ck_assert_msg(has == (password != NULL), "%s", name);
    if (password)
        ck_assert_msg(len == strlen(password) && !strncmp(got, password, len), "%s: %.*s", name,
                      (int)len, got);
}

START_TEST(a_password_stands_in_braces_or_behind_its_word)
{
    expect_password("film{{secret}}.nzb", "secret");
    expect_password("film {{ with blanks }}", " with blanks ");
    expect_password("film{{a}b}}.nzb", "a}b");
    expect_password("film{{end}}}.nzb", "end}");
    expect_password("film password=secret.nzb", "secret");
    expect_password("film PASSWORD=a.b.nzb.gz", "a.b");
    expect_password("film password=secret", "secret");
    expect_password("film{{}}.nzb", NULL);
    expect_password("film{{open.nzb", NULL);
    expect_password("film}}{{.nzb", NULL);
    expect_password("film password=.nzb", NULL);
    expect_password("password=x", NULL); /* a name comes first */
    expect_password("{{", NULL);
    expect_password("", NULL);
}
END_TEST

START_TEST(another_of_one_name_is_known_by_its_number)
{
    static const struct {
        const char *name;
        size_t base;
        uint32_t volume, copy;
    } all[] = {{"x (2).part03.rar", 1, 2, 2}, {"x (12).r00", 1, 1, 12},  {"x (2).7z.002", 1, 1, 2},
               {"x (99).rar", 1, 0, 99},      {"x (2019).rar", 8, 0, 0}, {"x (1).rar", 5, 0, 0},
               {"x(2).rar", 4, 0, 0},         {" (2).rar", 4, 0, 0},     {"(2).rar", 3, 0, 0},
               {"x ().rar", 4, 0, 0},         {"x 2).rar", 4, 0, 0},     {"x (2) .rar", 6, 0, 0}};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct names_part p = names_part(all[i].name);
        ck_assert_msg(p.base == all[i].base && p.volume == all[i].volume && p.copy == all[i].copy,
                      "%s: %zu, %u, %u", all[i].name, p.base, p.volume, p.copy);
    }
    ck_assert(names_part("x.000").zero && !names_part("x.001").zero);
    ck_assert(names_part("x.part0.rar").zero && names_part("x.7z.000").zero);
    ck_assert(!names_part("x.rar").zero && !names_part("x.r00").zero && !names_part("x.7z").zero);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("archive/names");
    TCase *t = tcase_create("names");

    tcase_add_test(t, another_of_one_name_is_known_by_its_number);
    tcase_add_test(t, rar_volumes_are_numbered_in_both_ways);
    tcase_add_test(t, other_sets_are_numbered_behind_their_names);
    tcase_add_test(t, what_is_no_volume_is_none);
    tcase_add_test(t, random_names_are_obfuscated);
    tcase_add_test(t, names_that_people_gave_are_not);
    tcase_add_test(t, random_letters_and_digits_are_told_as_a_rule);
    tcase_add_test(t, first_bytes_tell_the_kind);
    tcase_add_test(t, packets_and_frames_tell_by_the_next_one);
    tcase_add_test(t, short_heads_are_read_to_their_end_only);
    tcase_add_test(t, an_extension_fits_all_that_goes_by_it);
    tcase_add_test(t, what_comes_along_is_aside);
    tcase_add_test(t, a_password_stands_in_braces_or_behind_its_word);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
