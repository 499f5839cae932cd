#include "base/config.h"
#include "base/log.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Settings on top of a file: what they change, and that nothing else does. */

#define FILE_TEXT                                                                                  \
    "[provider main]\nhost = news.example.net\nusername = me\npassword = hunter2\n"                \
    "connections = 100\n"                                                                          \
    "[provider eu.block-1]\nhost = block.example.org\nconnections = 45\ntier = 1\nrate = 1M\n"     \
    "[class queue]\nguaranteed = 30\nburst = 145\n"                                                \
    "[class health]\nguaranteed = 60\nburst = 60\n"

static char err[512];

static struct config *with(const char *text, const char *const *settings, unsigned n)
{
    struct config *c = NULL;
    int rc = config_parse_with(text, strlen(text), "t.conf", settings, n, &c, err, sizeof(err));

    ck_assert_msg(rc == 0, "refused: %s", err);
    return c;
}

/* One setting on top of FILE_TEXT is refused, word for word. */
static void refused(const char *setting, const char *what)
{
    struct config *c = NULL;

    ck_assert_int_eq(config_parse_with(FILE_TEXT, strlen(FILE_TEXT), "t.conf", &setting, 1, &c, err,
                                       sizeof(err)),
                     -EINVAL);
    ck_assert_ptr_null(c);
    ck_assert_str_eq(err, what);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void expect_same(const struct config *a, const struct config *b, const char *what)
{
    ck_assert_msg(a->nproviders == b->nproviders, "%s: providers", what);
    for (unsigned i = 0; i < a->nproviders; i++) {
        const struct config_provider *p = &a->providers[i], *q = &b->providers[i];
        ck_assert_msg(
            same_text(p->name, q->name) && same_text(p->host, q->host) &&
                same_text(p->username, q->username) && same_text(p->password, q->password) &&
                same_text(p->ca_file, q->ca_file) && p->port == q->port &&
                p->connections == q->connections && p->tier == q->tier && p->weight == q->weight &&
                p->retention_days == q->retention_days && p->pipelining == q->pipelining &&
                p->rate_bps == q->rate_bps && p->tls == q->tls && p->verify == q->verify,
            "%s: provider %s", what, p->name);
    }
    ck_assert_msg(memcmp(a->classes, b->classes, sizeof(a->classes)) == 0, "%s: classes", what);
    ck_assert_msg(a->pool.connections == b->pool.connections &&
                      a->pool.reserve == b->pool.reserve && a->pool.warm == b->pool.warm &&
                      a->pool.rate_bps == b->pool.rate_bps && a->threads == b->threads,
                  "%s: pool", what);
    ck_assert_msg(memcmp(&a->timeouts, &b->timeouts, sizeof(a->timeouts)) == 0, "%s: timeouts",
                  what);
    ck_assert_msg(a->cache_memory == b->cache_memory && same_text(a->cache_disk, b->cache_disk) &&
                      a->cache_disk_size == b->cache_disk_size,
                  "%s: cache", what);
    ck_assert_msg(a->mount.read_timeout_s == b->mount.read_timeout_s &&
                      a->mount.readahead == b->mount.readahead && a->mount.umask == b->mount.umask,
                  "%s: mount", what);
}

START_TEST(settings_replace_what_the_file_says_and_add_what_it_does_not)
{
    static const char *const settings[] = {
        "pool.rate=10M",
        "class.streaming.burst=60%",
        "class.queue.burst=90",
        "provider.main.connections = 20",
        "timeouts.stall=5",
        "provider.eu.block-1.rate=0",
        "class.health.burst=50%",
        "class.health.guaranteed=10",
        "  class.queue.guaranteed=1",
        "class.queue.burst=40",
    };
    struct config *c = with(FILE_TEXT, settings, sizeof(settings) / sizeof(settings[0]));

    ck_assert_uint_eq(c->pool.rate_bps, 10u << 20);
    ck_assert_uint_eq(c->pool.connections, 65);
    ck_assert_uint_eq(c->providers[0].connections, 20);
    ck_assert_uint_eq(c->providers[1].connections, 45);
    ck_assert_uint_eq(c->providers[1].rate_bps, 0);
    ck_assert_uint_eq(c->classes[TRAFFIC_STREAMING].burst, 39);
    ck_assert_uint_eq(c->classes[TRAFFIC_HEALTH].burst, 32);
    ck_assert_uint_eq(c->classes[TRAFFIC_QUEUE].guaranteed, 1);
    ck_assert_uint_eq(c->classes[TRAFFIC_QUEUE].burst, 40); /* the later one */
    ck_assert_uint_eq(c->timeouts.stall_s, 5);
    ck_assert_str_eq(c->providers[0].password, "hunter2");
    config_free(c);
}
END_TEST

/* --- the property ------------------------------------------------------------------------------ */

/* Lines of a file, so that one can be changed or added. Section 0 is the first one. */
struct line {
    const char *section, *dotted, *key; /* "provider main", "provider.main" */
    const char *values[3];
};

static const struct line lines[] = {
    {"provider main", "provider.main", "connections", {"100", "20", "1"}},
    {"provider main", "provider.main", "tier", {"0", "3", "99"}},
    {"provider main", "provider.main", "weight", {"1", "7", "1000"}},
    {"provider main", "provider.main", "retention_days", {"0", "4000", "36500"}},
    {"provider main", "provider.main", "pipelining", {"4", "1", "100"}},
    {"provider main", "provider.main", "rate", {"0", "5M", "123456"}},
    {"provider eu.b", "provider.eu.b", "connections", {"45", "1000", "3"}},
    {"provider eu.b", "provider.eu.b", "rate", {"0", "64K", "1T"}},
    {"pool", "pool", "connections", {"0", "50", "7"}},
    {"pool", "pool", "reserve", {"0", "5", "50"}},
    {"pool", "pool", "warm", {"4", "0", "20"}},
    {"pool", "pool", "rate", {"0", "10M", "1G"}},
    {"class streaming", "class.streaming", "guaranteed", {"40%", "3", "0"}},
    {"class streaming", "class.streaming", "burst", {"100%", "60%", "9"}},
    {"class streaming", "class.streaming", "weight", {"4", "1", "1000000"}},
    {"class streaming", "class.streaming", "per_stream", {"0", "5", "2"}},
    {"class streaming", "class.streaming", "hedge", {"3%", "0", "10%"}},
    {"class queue", "class.queue", "guaranteed", {"30%", "30", "1"}},
    {"class queue", "class.queue", "burst", {"100%", "35", "50%"}},
    {"class health", "class.health", "guaranteed", {"10%", "5", "0%"}},
    {"class health", "class.health", "burst", {"25%", "40", "100%"}},
    {"timeouts", "timeouts", "connect", {"10", "1", "600"}},
    {"timeouts", "timeouts", "probe", {"30", "1", "3600"}},
};
#define LINES (sizeof(lines) / sizeof(lines[0]))

static uint64_t dice_state = 0x2545f4914f6cdd1du;

static unsigned dice(unsigned n)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (unsigned)(dice_state >> 33) % n;
}

/* The file with value[i] - 1 of each line; 0: the line is not there. */
static void file_write(const unsigned *value, char *out, size_t room)
{
    size_t n = 0;

    out[0] = '\0';
    for (unsigned i = 0; i < LINES; i++) {
        if (i == 0 || strcmp(lines[i].section, lines[i - 1].section) != 0) {
            n += (size_t)snprintf(out + n, room - n, "[%s]\n", lines[i].section);
            if (strncmp(lines[i].section, "provider", 8) == 0)
                n += (size_t)snprintf(out + n, room - n, "host = h\n");
        }
        if (value[i])
            n += (size_t)snprintf(out + n, room - n, "%s = %s\n", lines[i].key,
                                  lines[i].values[value[i] - 1]);
    }
    ck_assert_uint_lt(n, room);
}

START_TEST(the_result_is_that_of_a_file_with_those_lines_changed)
{
    unsigned accepted = 0;

    for (unsigned round = 0; round < 3000; round++) {
        static char before[2048], after[2048], text[LINES][80];
        const char *settings[LINES];
        unsigned value[LINES], n = 0;
        struct config *a = NULL, *b = NULL;

        for (unsigned i = 0; i < LINES; i++)
            value[i] = dice(3) ? 0 : 1 + dice(3);
        file_write(value, before, sizeof(before));
        for (unsigned i = 0; i < LINES; i++) {
            if (dice(4))
                continue;
            value[i] = 1 + dice(3);
            snprintf(text[n], sizeof(text[n]), "%s.%s=%s", lines[i].dotted, lines[i].key,
                     lines[i].values[value[i] - 1]);
            settings[n] = text[n];
            n++;
        }
        file_write(value, after, sizeof(after));
        int changed = config_parse(after, strlen(after), "t.conf", &b, err, sizeof(err));
        int set =
            config_parse_with(before, strlen(before), "t.conf", settings, n, &a, err, sizeof(err));
        ck_assert_msg(set == changed, "with settings %d (%s), as a file %d:\n%s", set, err, changed,
                      after);
        if (set == 0) {
            expect_same(a, b, after);
            accepted++;
        }
        config_free(a);
        config_free(b);
    }
    ck_assert_uint_ge(accepted, 300);
    ck_assert_uint_le(accepted, 2900);
}
END_TEST

/* --- what is refused --------------------------------------------------------------------------- */

START_TEST(a_bad_value_is_named)
{
    refused("pool.rate=fast",
            "pool.rate=fast: rate = 'fast' is not a size; write bytes, or such as "
            "64K, 256M or 2G");
    refused("provider.main.connections=0",
            "provider.main.connections=0: connections = '0' is not a number from 1 to 1000");
    refused("class.streaming.burst=101%",
            "class.streaming.burst=101%: burst = 101% is more than the whole pool; write at most "
            "100%");
    refused("pool.rate=", "pool.rate=: rate = '' is not a size; write bytes, or such as 64K, 256M "
                          "or 2G");
}
END_TEST

START_TEST(an_unknown_provider_is_named_with_those_there_are)
{
    refused("provider.mian.connections=5",
            "provider.mian.connections: there is no [provider mian] in t.conf; there is main, "
            "eu.block-1");
    refused("provider.connections=5", "provider.connections: which provider? write "
                                      "provider.NAME.KEY=VALUE; there is main, eu.block-1");
}
END_TEST

START_TEST(an_unknown_key_is_refused_with_the_likely_one)
{
    refused("pool.rat=5", "pool.rat: unknown key 'rat' in [pool]; did you mean 'rate'?");
    refused("pool.stall=5", "pool.stall: unknown key 'stall' in [pool]; it belongs in [timeouts]");
    refused("class.steaming.burst=5",
            "class.steaming.burst: unknown class 'steaming'; it is [class "
            "streaming], [class queue] or [class health]");
    refused("pol.rate=5", "pol.rate: unknown section [pol]; there are [provider NAME], [pool], "
                          "[class NAME], [cache], [mount] and [timeouts]");
}
END_TEST

START_TEST(what_is_no_setting_is_shown_one)
{
    static const char *const bad[] = {"", "=", "rate", "rate=5", "=.", "pool=1", "pool rate"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct config *c = NULL;
        ck_assert_int_eq(config_parse_with(FILE_TEXT, strlen(FILE_TEXT), "t.conf", &bad[i], 1, &c,
                                           err, sizeof(err)),
                         -EINVAL);
        ck_assert_msg(strstr(err, "pool.rate=10M"), "%s", err);
    }
    refused("rate=5", "rate: this is not SECTION.KEY=VALUE, such as pool.rate=10M, "
                      "class.streaming.burst=60% or provider.main.connections=20");
    refused("pool.rate\n=5", "a setting: more than 200 characters, or one that cannot be printed");
}
END_TEST

/* The blanks in front are as long as the title has room for, and what is behind them has a dot. */
START_TEST(blanks_in_front_of_a_setting_do_not_count)
{
    char setting[200];
    const char *one = setting;

    snprintf(setting, sizeof(setting), "%120s", "class.streaming.burst=8");
    struct config *c = with(FILE_TEXT, &one, 1);
    ck_assert_uint_eq(c->classes[TRAFFIC_STREAMING].burst, 8);
    config_free(c);
}
END_TEST

START_TEST(who_is_asked_and_trusted_is_the_files_to_say)
{
    static const char *const keys[] = {"host",     "port",          "tls",
                                       "verify",   "ca_file",       "username",
                                       "password", "password_file", "credential"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char setting[80], what[400];
        snprintf(setting, sizeof(setting), "provider.main.%s=hunter3", keys[i]);
        snprintf(what, sizeof(what),
                 "provider.main.%s: '%s' in [provider main] cannot be set in place: it says who is "
                 "asked, and who is trusted with what, and that is the file's alone to say; change "
                 "it there and send SIGHUP",
                 keys[i], keys[i]);
        refused(setting, what);
    }
}
END_TEST

START_TEST(what_takes_effect_at_the_start_only_is_refused)
{
    refused("cache.memory=1G", "cache.memory: 'memory' in [cache] cannot be set in place: it takes "
                               "effect when something is mounted; write it in the file and mount "
                               "again");
    refused("mount.umask=0", "mount.umask: 'umask' in [mount] cannot be set in place: it takes "
                             "effect when something is mounted; write it in the file and mount "
                             "again");
    refused("pool.threads=2", "pool.threads: 'threads' in [pool] cannot be set in place: network "
                              "threads start with the mount; write it in the file and mount again");
}
END_TEST

START_TEST(a_mistyped_secret_is_not_repeated)
{
    static const char *const bad[] = {
        "provider.main.pasword=hunter3", "provider.mian.password=hunter3",
        "provider.main.password hunter3", "pasword=hunter3", "provider.main.password=hunter3\x01"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct config *c = NULL;
        ck_assert_int_eq(config_parse_with(FILE_TEXT, strlen(FILE_TEXT), "t.conf", &bad[i], 1, &c,
                                           err, sizeof(err)),
                         -EINVAL);
        ck_assert_msg(!strstr(err, "hunter"), "%s", err);
    }
}
END_TEST

START_TEST(a_file_gets_settings_too)
{
    char path[] = "/tmp/nzbfs-config-XXXXXX";
    int fd = mkstemp(path);
    const char *setting = "pool.connections=70";
    struct config *c = NULL;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, FILE_TEXT, strlen(FILE_TEXT)), (ssize_t)strlen(FILE_TEXT));
    close(fd);
    ck_assert_int_eq(config_load_with(path, &setting, 1, &c, err, sizeof(err)), -EINVAL);
    setting = "class.queue.burst=50";
    ck_assert_msg(config_load_with(path, &setting, 1, &c, err, sizeof(err)) == 0, "%s", err);
    ck_assert_uint_eq(c->classes[TRAFFIC_QUEUE].burst, 50);
    config_free(c);
    ck_assert_int_eq(config_load_with("/nonexistent", &setting, 1, &c, err, sizeof(err)), -ENOENT);
    unlink(path);
}
END_TEST

START_TEST(a_line_that_settings_make_impossible_is_blamed_together_with_them)
{
    refused("pool.connections=70",
            "t.conf:13: burst = 145 in [class queue] is more than the pool's 70 connections; "
            "write at most 70, or 100%; given with pool.connections=70");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/config_set");
    TCase *t = tcase_create("settings");
    SRunner *r = srunner_create(s);

    log_set_level(LOG_AT_ERROR);
    suite_add_tcase(s, t);
    tcase_add_test(t, settings_replace_what_the_file_says_and_add_what_it_does_not);
    tcase_add_test(t, the_result_is_that_of_a_file_with_those_lines_changed);
    tcase_add_test(t, a_bad_value_is_named);
    tcase_add_test(t, an_unknown_provider_is_named_with_those_there_are);
    tcase_add_test(t, an_unknown_key_is_refused_with_the_likely_one);
    tcase_add_test(t, what_is_no_setting_is_shown_one);
    tcase_add_test(t, blanks_in_front_of_a_setting_do_not_count);
    tcase_add_test(t, who_is_asked_and_trusted_is_the_files_to_say);
    tcase_add_test(t, what_takes_effect_at_the_start_only_is_refused);
    tcase_add_test(t, a_mistyped_secret_is_not_repeated);
    tcase_add_test(t, a_file_gets_settings_too);
    tcase_add_test(t, a_line_that_settings_make_impossible_is_blamed_together_with_them);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
