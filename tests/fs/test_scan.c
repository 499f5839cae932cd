/* Who only looks around: names and processes, and what they are given. */
#include "tests/fs/reading.h"

#include "fs/scan.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool is_named(const char *names, const char *comm)
{
    struct fs_scan *s = fs_scan_new(names);
    ck_assert_ptr_nonnull(s);
    bool is = fs_scan_is_named(s, comm);
    fs_scan_free(s);
    return is;
}

START_TEST(names_are_patterns_and_those_with_blanks_stand_in_quotes)
{
    ck_assert(is_named("mkvinfo \"Plex Media Scan*\" x?z", "Plex Media Scan"));
    ck_assert(is_named("mkvinfo \"Plex Media Scan*\" x?z", "xyz"));
    ck_assert(!is_named("mkvinfo \"Plex Media Scan*\" x?z", "mkvinfos"));
    ck_assert(!is_named("mkvinfo \"Plex Media Scan*\" x?z", "Plex"));
    ck_assert(!is_named("", "mkvinfo"));
    ck_assert(!is_named(NULL, "mkvinfo"));
}
END_TEST

START_TEST(the_whole_of_a_name_that_the_kernel_cuts_will_do)
{
    ck_assert(is_named("ffmpegthumbnailer", "ffmpegthumbnail"));
    ck_assert(!is_named("ffmpegthumbnailer", "ffmpegthumbnai"));
}
END_TEST

START_TEST(the_usual_ones_can_be_named_together_and_beside_others)
{
    static const char *const usual[] = {"ffprobe",         "mediainfo",       "file",
                                        "tracker-extract", "tracker-miner-f", "Plex Media Scan",
                                        "Plex Media Anal", "tumblerd",        "totem-video-thu",
                                        "ffmpegthumbnail", "thumbnail.so",    "localsearch-3"};
    for (unsigned k = 0; k < sizeof(usual) / sizeof(usual[0]); k++) {
        ck_assert(is_named("default", usual[k]));
        ck_assert(is_named("mine default", usual[k]));
        ck_assert(!is_named("mine", usual[k]));
    }
    static const char *const players[] = {
        "mpv", "vlc", "Plex Media Serv", "Plex Transcoder", "jellyfin", "ffmpeg", "cp", "rclone",
        "cat", ""};
    for (unsigned k = 0; k < sizeof(players) / sizeof(players[0]); k++)
        ck_assert(!is_named("default", players[k]));
}
END_TEST

START_TEST(a_process_is_known_by_its_thread_its_leader_or_its_group)
{
    struct fs_scan *s = fs_scan_new("\"a scanner\"");
    ck_assert(!fs_scan_is(s, getpid()));
    prctl(PR_SET_NAME, "a scanner");
    ck_assert(fs_scan_is(s, getpid()));
    prctl(PR_SET_NAME, "a player");
    ck_assert(!fs_scan_is(s, getpid()));
    ck_assert(!fs_scan_is(s, 0));
    ck_assert(!fs_scan_is(s, -1));
    ck_assert(!fs_scan_is(s, INT32_MAX)); /* no process has that number */
    fs_scan_free(s);
    s = fs_scan_new("/*");
    FILE *group = fopen("/proc/self/cgroup", "r");
    char line[4096];
    bool any = group && fgets(line, sizeof(line), group);
    if (group)
        fclose(group);
    ck_assert(fs_scan_is(s, getpid()) == any);
    fs_scan_free(s);
    s = fs_scan_new("/no/such/group");
    ck_assert(!fs_scan_is(s, getpid()));
    fs_scan_free(s);
}
END_TEST

/* --- what they are given ------------------------------------------------------------------------- */

static const struct rig_file large = {
    .name = "large", .seed = SEED, .size = 60000000, .part_size = 100000};

static uint64_t ahead(void)
{
    struct fs_stats st;
    fs_stats(rig_fs(rig), &st);
    return st.ahead_bytes;
}

static void read_on(struct fs_handle *h, uint64_t off, unsigned n)
{
    for (unsigned k = 0; k < n; k++) {
        struct fs_read *r = reading(off + k * 100000, 100000);
        r->handle = h;
        expect_bytes(read_over(r), off + k * 100000, 100000);
    }
}

START_TEST(for_a_scanner_nothing_is_read_ahead_until_another_reads)
{
    char self[] = "the scanner";
    teardown();
    rig_of(&large,
           (struct config_mount){.readahead = 4000000, .scanners = (char[]){"\"the scanner\""}},
           (size_t)16 << 20);
    prctl(PR_SET_NAME, self);
    struct fs_handle *h = fs_handle_open(rig_fs(rig), film);
    ck_assert(fs_handle_caller(h, getpid()));
    uint64_t before = rig_asked(rig);
    read_on(h, 0, 20);
    ck_assert_uint_eq(ahead(), 0);
    ck_assert_uint_eq(rig_asked(rig), before + 20);
    ck_assert(!fs_handle_caller(h, 1)); /* init plays */
    read_on(h, 2000000, 4);
    ck_assert_uint_gt(ahead(), 1000000);
    ck_assert(fs_handle_caller(h, getpid()));
    read_on(h, 2400000, 1);
    ck_assert_uint_eq(ahead(), 0);
    fs_handle_close(h);
    prctl(PR_SET_NAME, "test_fs_scan");
}
END_TEST

START_TEST(a_handle_that_is_likely_a_scan_needs_a_long_read)
{
    teardown();
    rig_of(&large, (struct config_mount){.readahead = 4000000}, (size_t)16 << 20);
    struct fs_handle *h = fs_handle_open(rig_fs(rig), film);
    fs_handle_wary(h);
    read_on(h, 0, 30);
    ck_assert_uint_eq(ahead(), 0);
    read_on(h, 3000000, 30);
    ck_assert_uint_gt(ahead(), 1000000);
    fs_handle_close(h);
}
END_TEST

/* Under a copy that takes every connection it would otherwise end with ETIMEDOUT. */
START_TEST(a_scan_lets_others_go_first_and_not_for_ever)
{
    teardown();
    rig_of(&large, (struct config_mount){.readahead = 0}, (size_t)16 << 20);
    expect_bytes(read_over(reading(0, 10)), 0, 10);
    struct fs_read *r = reading(500000, 10);
    r->urgency = URGENCY_SCAN;
    ck_assert(!fs_read_start(r));
    struct segment_fetch *f = scripted_source_nth(rig_source(rig), 0);
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(f->want.urgency, URGENCY_SCAN);
    ck_assert_uint_lt(f->want.deadline_us, r->deadline_us);
    scripted_source_end(rig_source(rig), f, SEGMENT_TIMEOUT);
    ck_assert_uint_eq(ends, 0);
    f = scripted_source_nth(rig_source(rig), 0);
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(f->want.urgency, URGENCY_READAHEAD);
    ck_assert_uint_eq(f->want.deadline_us, r->deadline_us);
    rig_serve_all(rig);
    ck_assert_uint_eq(ends, 1);
    expect_bytes(r, 500000, 10);
}
END_TEST

START_TEST(a_look_elsewhere_withdraws_what_was_not_sent_and_coming_back_asks_again)
{
    teardown();
    rig_of(&large, (struct config_mount){.readahead = 4000000}, (size_t)16 << 20);
    struct fs_handle *h = fs_handle_open(rig_fs(rig), film);
    read_on(h, 0, 10);
    /* served by read_over(): what is out is what the last read asked for */
    struct fs_read *r = reading(1000000, 100000);
    r->handle = h;
    unsigned ended = ends;
    bool at_once = fs_read_start(r);
    ck_assert_uint_gt(ahead(), 0);
    uint64_t out = scripted_source_out(rig_source(rig));
    struct fs_read *tail = reading(59000000, 10000);
    tail->handle = h;
    ck_assert(!fs_read_start(tail));
    ck_assert_uint_eq(ahead(), 0);
    unsigned cancels = 0;
    for (unsigned n = 0; scripted_source_nth(rig_source(rig), n); n++)
        cancels +=
            scripted_source_look(rig_source(rig), scripted_source_nth(rig_source(rig), n)).cancels;
    ck_assert_uint_eq(cancels, at_once ? out : out - 1);
    rig_serve_all(rig);
    ck_assert_uint_eq(ends, ended + 1 + !at_once);
    expect_bytes(r, 1000000, 100000);
    expect_bytes(tail, 59000000, 10000);
    read_on(h, 1100000, 1);
    ck_assert_uint_gt(ahead(), 1000000);
    fs_handle_close(h);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("scan");
    tcase_add_test(t, names_are_patterns_and_those_with_blanks_stand_in_quotes);
    tcase_add_test(t, the_whole_of_a_name_that_the_kernel_cuts_will_do);
    tcase_add_test(t, the_usual_ones_can_be_named_together_and_beside_others);
    tcase_add_test(t, a_process_is_known_by_its_thread_its_leader_or_its_group);
    tcase_add_test(t, for_a_scanner_nothing_is_read_ahead_until_another_reads);
    tcase_add_test(t, a_handle_that_is_likely_a_scan_needs_a_long_read);
    tcase_add_test(t, a_scan_lets_others_go_first_and_not_for_ever);
    tcase_add_test(t, a_look_elsewhere_withdraws_what_was_not_sent_and_coming_back_asks_again);
    return reading_main(suite_create("fs/scan"), t);
}
