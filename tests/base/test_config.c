#include "base/config.h"
#include "base/log.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAIN "[provider main]\nhost = news.example.net\n"

static char err[512];

static struct config *parsed(const char *text)
{
    struct config *c = NULL;
    int rc = config_parse(text, strlen(text), "t.conf", &c, err, sizeof(err));

    ck_assert_msg(rc == 0, "refused: %s", err);
    return c;
}

/* The text is refused and the message is `what`, word for word. */
static void refused(const char *text, const char *what)
{
    struct config *c = NULL;

    ck_assert_int_lt(config_parse(text, strlen(text), "t.conf", &c, err, sizeof(err)), 0);
    ck_assert_ptr_null(c);
    ck_assert_str_eq(err, what);
}

START_TEST(one_provider_with_a_host_is_enough)
{
    struct config *c = parsed(MAIN);

    ck_assert_uint_eq(c->nproviders, 1);
    ck_assert_str_eq(c->providers[0].name, "main");
    ck_assert_str_eq(c->providers[0].host, "news.example.net");
    ck_assert_uint_eq(c->providers[0].port, 563);
    ck_assert(c->providers[0].tls && c->providers[0].verify);
    ck_assert_uint_eq(c->providers[0].connections, 10);
    ck_assert_uint_eq(c->providers[0].pipelining, 4);
    ck_assert_uint_eq(c->pool.connections, 10);
    ck_assert_uint_eq(c->cache_memory, 256u << 20);
    ck_assert_int_eq((int)c->mount.uid, -1);
    ck_assert_uint_eq(c->mount.umask, 022);
    ck_assert_uint_eq(c->mount.read_timeout_s, 60);
    ck_assert(c->mount.default_permissions && c->mount.early);
    ck_assert_uint_eq(c->mount.readahead, 128u << 20);
    ck_assert_str_eq(c->mount.scanners, "default");
    ck_assert_uint_eq(c->timeouts.connect_s, 10);
    ck_assert_uint_eq(c->timeouts.stall_s, 15);
    ck_assert_uint_eq(c->timeouts.idle_s, 60);
    ck_assert_uint_eq(c->timeouts.probe_s, 30);
    config_free(c);
}
END_TEST

START_TEST(every_key_is_read)
{
    struct config *c =
        parsed("# a comment\n; another\n\n"
               "[provider a.b-c_1]\nhost = [2001:db8::1]\nport = 119\ntls = no\n"
               "verify=off\nca_file = /ca.pem\nusername = me\npassword = p#a;s s\n"
               "connections = 50\ntier = 1\nweight = 3\nretention_days = 4000\n"
               "pipelining = 8\nrate = 10M\n"
               "[pool]\nconnections = 40\nreserve = 2\nwarm = 6\nrate = 1G\nthreads = 2\n"
               "[class streaming]\nguaranteed = 20\nburst = 40\nweight = 7\nper_stream = 9\n"
               "hedge = 12%\n[class queue]\nguaranteed=25%\n[class health]\nburst = 50%\n"
               "[cache]\nmemory = 64m\ndisk = /var/cache\ndisk_size = 1G\n"
               "[mount]\nuid = 1000\ngid = 100\numask = 0077\nallow_other = yes\n"
               "default_permissions = on\ndirect_io = 1\nview = raw\nmissing = zeros\n"
               "read_timeout = 5\nreadahead = 8M\nscanners = ffprobe  \"Plex Media Scan*\"\n"
               "[timeouts]\nconnect = 1\nstall = 2\nidle = 3\nprobe = 4\n");
    const struct config_provider *p = &c->providers[0];

    ck_assert_str_eq(p->name, "a.b-c_1");
    ck_assert_str_eq(p->host, "2001:db8::1");
    ck_assert_str_eq(p->ca_file, "/ca.pem");
    ck_assert_str_eq(p->username, "me");
    ck_assert_str_eq(p->password, "p#a;s s");
    ck_assert(!p->tls && !p->verify);
    ck_assert_uint_eq(p->port, 119);
    ck_assert_uint_eq(p->connections, 50);
    ck_assert_uint_eq(p->tier, 1);
    ck_assert_uint_eq(p->weight, 3);
    ck_assert_uint_eq(p->retention_days, 4000);
    ck_assert_uint_eq(p->pipelining, 8);
    ck_assert_uint_eq(p->rate_bps, 10u << 20);
    ck_assert_uint_eq(c->pool.connections, 40);
    ck_assert_uint_eq(c->pool.reserve, 2);
    ck_assert_uint_eq(c->pool.warm, 6);
    ck_assert_uint_eq(c->pool.rate_bps, 1u << 30);
    ck_assert_uint_eq(c->threads, 2);
    ck_assert_uint_eq(c->classes[TRAFFIC_STREAMING].guaranteed, 20);
    ck_assert_uint_eq(c->classes[TRAFFIC_STREAMING].burst, 40);
    ck_assert_uint_eq(c->classes[TRAFFIC_STREAMING].weight, 7);
    ck_assert_uint_eq(c->classes[TRAFFIC_STREAMING].per_stream, 9);
    ck_assert_uint_eq(c->classes[TRAFFIC_STREAMING].hedge, 120);
    ck_assert_uint_eq(c->classes[TRAFFIC_QUEUE].hedge, 0);
    ck_assert_uint_eq(c->classes[TRAFFIC_QUEUE].guaranteed, 10);
    ck_assert_uint_eq(c->classes[TRAFFIC_QUEUE].weight, 10);
    ck_assert_uint_eq(c->classes[TRAFFIC_HEALTH].burst, 20);
    ck_assert_uint_eq(c->cache_memory, 64u << 20);
    ck_assert_str_eq(c->cache_disk, "/var/cache");
    ck_assert_uint_eq(c->cache_disk_size, 1u << 30);
    ck_assert_int_eq((int)c->mount.uid, 1000);
    ck_assert_int_eq((int)c->mount.gid, 100);
    ck_assert_uint_eq(c->mount.umask, 077);
    ck_assert(c->mount.allow_other && c->mount.default_permissions && c->mount.direct_io);
    ck_assert_int_eq(c->mount.view, CONFIG_VIEW_RAW);
    ck_assert(c->mount.missing_zeros);
    ck_assert_uint_eq(c->mount.read_timeout_s, 5);
    ck_assert_uint_eq(c->mount.readahead, 8u << 20);
    ck_assert_str_eq(c->mount.scanners, "ffprobe  \"Plex Media Scan*\"");
    ck_assert_uint_eq(c->timeouts.connect_s, 1);
    ck_assert_uint_eq(c->timeouts.stall_s, 2);
    ck_assert_uint_eq(c->timeouts.idle_s, 3);
    ck_assert_uint_eq(c->timeouts.probe_s, 4);
    config_free(c);
}
END_TEST

START_TEST(a_list_of_names_is_refused_where_its_quotes_are_wrong)
{
    refused(MAIN "[mount]\nscanners = ffprobe \"Plex Media\n",
            "t.conf:4: scanners: a quote is not closed; separate names with blanks, and quote one "
            "that holds any");
    refused(MAIN "[mount]\nscanners = a\"b\"\n",
            "t.conf:4: scanners: a quote stands inside of a word; separate names with blanks, and "
            "quote one that holds any");
    refused(MAIN "[mount]\nscanners = \"a\"b\n",
            "t.conf:4: scanners: a word goes on behind its quote; separate names with blanks, and "
            "quote one that holds any");
    struct config *c = parsed(MAIN "[mount]\nscanners =\n");
    ck_assert_ptr_null(c->mount.scanners);
    config_free(c);
}
END_TEST

START_TEST(a_mistyped_key_is_refused_with_the_likely_one)
{
    refused(MAIN "conections = 5\n",
            "t.conf:3: unknown key 'conections' in [provider main]; did you mean 'connections'?");
    refused(MAIN "[pool]\nmemory = 5M\n",
            "t.conf:4: unknown key 'memory' in [pool]; it belongs in [cache]");
    refused(MAIN "[pool]\nfrobnicate = 5\n",
            "t.conf:4: unknown key 'frobnicate' in [pool]; nzbfs.conf(5) lists them");
}
END_TEST

START_TEST(unknown_sections_are_refused_even_when_empty)
{
    refused(MAIN "[casche]\n",
            "t.conf:3: unknown section [casche]; there are [provider NAME], [pool], "
            "[class NAME], [cache], [mount] and [timeouts]");
    refused(MAIN "[class steaming]\n",
            "t.conf:3: unknown class 'steaming'; it is [class streaming], [class queue] or [class "
            "health]");
    refused("[provider]\n",
            "t.conf:1: a provider needs a name of letters, digits, '-', '_' and '.': "
            "[provider main]");
}
END_TEST

START_TEST(what_stands_twice_is_refused_with_both_lines)
{
    refused(MAIN "port = 1\nport = 1\n",
            "t.conf:4: 'port' in [provider main]: it stands on line 3 already");
    refused(MAIN "username = a\npassword = b\npassword_file = /x\n",
            "t.conf:5: 'password_file' in [provider main]: password stands on line 4 already");
    refused(MAIN "[pool]\n[pool]\n",
            "t.conf:4: [pool] stands on line 3 already; put its keys together");
    refused(MAIN MAIN, "t.conf:3: [provider main] stands on line 1 already; put its keys together");
    refused(MAIN "[provider \t main]\n",
            "t.conf:3: [provider main] stands on line 1 already; put its keys together");
}
END_TEST

START_TEST(no_provider_says_what_to_write)
{
    refused("",
            "t.conf: there is no provider; write [provider main] with host, username, password and "
            "connections");
    refused("\n[provider a]\nport = 5\n",
            "t.conf:2: [provider a] has no host; write host = news.example.net");
}
END_TEST

START_TEST(lines_that_are_none_are_refused)
{
    refused(MAIN "nonsense\n",
            "t.conf:3: neither [section] nor key = value nor a comment that begins with '#'");
    refused("host = a\n", "t.conf:1: 'host' stands before any section; begin with [provider main]");
    refused("[provider a] host = b\n",
            "t.conf:1: there is something behind [provider a]; keys go on lines of their own");
    refused("[provider a\n",
            "t.conf:1: neither [section] nor key = value nor a comment that begins with '#'");
}
END_TEST

START_TEST(a_comment_behind_a_value_is_explained)
{
    refused(MAIN "tls = yes  # always\n",
            "t.conf:3: tls = 'yes  # always' is neither yes nor no (a "
            "comment needs a line of its own)");
}
END_TEST

START_TEST(numbers_have_bounds)
{
    refused(MAIN "port = 0\n", "t.conf:3: port = '0' is not a number from 1 to 65535");
    refused(MAIN "port = 65536\n", "t.conf:3: port = '65536' is not a number from 1 to 65535");
    refused(MAIN "port = -1\n", "t.conf:3: port = '-1' is not a number from 1 to 65535");
    refused(MAIN "port = 0x50\n", "t.conf:3: port = '0x50' is not a number from 1 to 65535");
    refused(MAIN "port =\n", "t.conf:3: port = '' is not a number from 1 to 65535");
    refused(MAIN "port = 99999999999999999999999\n",
            "t.conf:3: port = '99999999999999999999999' is not a number from 1 to 65535");
    refused(MAIN "connections = 0\n", "t.conf:3: connections = '0' is not a number from 1 to 1000");
    refused(MAIN "[mount]\numask = 8\n", "t.conf:4: umask = '8' is not an octal mask such as 022");
    refused(MAIN "[mount]\numask = 1000\n",
            "t.conf:4: umask = '1000' is not an octal mask such as 022");
    refused(MAIN "[mount]\nuid = root\n",
            "t.conf:4: uid = 'root' is not a number; id -u NAME tells it");
    refused(MAIN "[mount]\nview = all\n",
            "t.conf:4: view = 'all' is not one of raw, contents or both");
}
END_TEST

START_TEST(sizes_have_units_and_bounds)
{
    refused(MAIN "rate = 5X\n",
            "t.conf:3: rate = '5X' is not a size; write bytes, or such as 64K, 256M or 2G");
    refused(MAIN "rate = 5MB\n",
            "t.conf:3: rate = '5MB' is not a size; write bytes, or such as 64K, 256M or 2G");
    refused(
        MAIN "rate = 99999999999999T\n",
        "t.conf:3: rate = '99999999999999T' is not a size; write bytes, or such as 64K, 256M or 2G");
    refused(MAIN "[cache]\nmemory = 1M\n", "t.conf:4: memory = 1M is too small; the least is 16M");
}
END_TEST

START_TEST(hosts_with_a_port_or_blanks_are_refused)
{
    refused(
        "[provider a]\nhost = news.example.net:119\n",
        "t.conf:2: host = 'news.example.net:119' holds a port; give it a line of its own: port = 119");
    refused("[provider a]\nhost = []\n",
            "t.conf:2: host = '[]' is not a host; write a name or an address, such as "
            "news.example.net");
    refused("[provider a]\nhost = a b\n",
            "t.conf:2: host = 'a b' is not a host; write a name or an "
            "address, such as news.example.net");
}
END_TEST

START_TEST(half_a_login_is_refused)
{
    refused(MAIN "username = me\n",
            "t.conf:3: [provider main] has a username but no password; write "
            "password = … or password_file = …");
    refused(MAIN "password = x\n",
            "t.conf:1: [provider main] has a password but no username; write username = …");
}
END_TEST

/* A file of this content in a temporary folder; `path` gets its name. */
static void file_make(const char *dir, const char *name, const char *text, mode_t mode, char *path)
{
    snprintf(path, 256, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_ge(fputs(text, f), 0);
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
}

START_TEST(secrets_come_from_files_beside_the_configuration_and_from_credentials)
{
    char dir[] = "/tmp/nzbfs-config-XXXXXX", conf[256], file[256];
    struct config *c = NULL;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    file_make(dir, "secret", "hunter2\n", 0600, file);
    file_make(dir, "nzbfs.conf", MAIN "username = me\npassword_file = secret\n", 0600, conf);
    ck_assert_msg(config_load(conf, &c, err, sizeof(err)) == 0, "%s", err);
    ck_assert_str_eq(c->providers[0].password, "hunter2");
    config_free(c);

    unsetenv("CREDENTIALS_DIRECTORY");
    refused(
        MAIN "username = me\ncredential = secret\n",
        "t.conf:4: credential = secret needs $CREDENTIALS_DIRECTORY, which systemd sets for a unit "
        "with LoadCredential=");
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    c = parsed(MAIN "username = me\ncredential = secret\n");
    ck_assert_str_eq(c->providers[0].password, "hunter2");
    config_free(c);
    refused(MAIN "username = me\ncredential = ../secret\n",
            "t.conf:4: credential = '../secret' is not a name, it has a slash");

    file_make(dir, "secret", "one\ntwo\n", 0600, file);
    ck_assert_int_eq(config_load(conf, &c, err, sizeof(err)), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err, "does not hold one line"));
    ck_assert_ptr_null(strstr(err, "two"));
    unlink(file);
    ck_assert_int_eq(config_load(conf, &c, err, sizeof(err)), -ENOENT);
    unlink(conf);
    rmdir(dir);
}
END_TEST

START_TEST(the_first_file_that_exists_is_read)
{
    char dir[] = "/tmp/nzbfs-config-XXXXXX", sub[256], conf[256];
    struct config *c = NULL;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(sub, sizeof(sub), "%s/nzbfs", dir);
    ck_assert_int_eq(mkdir(sub, 0700), 0);
    file_make(sub, "nzbfs.conf", "[provider xdg]\nhost = x\n", 0600, conf);
    setenv("XDG_CONFIG_HOME", dir, 1);
    ck_assert_msg(config_load(NULL, &c, err, sizeof(err)) == 0, "%s", err);
    ck_assert_str_eq(c->providers[0].name, "xdg");
    config_free(c);
    unlink(conf);
    rmdir(sub);
    rmdir(dir);
    ck_assert_int_eq(config_load("/nonexistent/nzbfs.conf", &c, err, sizeof(err)), -ENOENT);
    ck_assert_str_eq(err, "/nonexistent/nzbfs.conf: No such file or directory");
}
END_TEST

START_TEST(long_lines_and_nul_bytes_are_refused)
{
    static char text[6000];
    struct config *c = NULL;

    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "[provider a]\nhost = ", 20);
    refused(text, "t.conf:2: the line is longer than 4093 bytes");
    ck_assert_int_eq(config_parse("[provider a]\nho\0st", 18, "t.conf", &c, err, sizeof(err)),
                     -EINVAL);
    ck_assert_str_eq(err, "t.conf:2: the line holds a NUL byte; save the file as UTF-8 text");
}
END_TEST

START_TEST(windows_line_ends_and_a_byte_order_mark_are_harmless)
{
    struct config *c = parsed("\xef\xbb\xbf# note\r\n[provider a]\r\nhost = a\r\nport = 5\r\n");

    ck_assert_str_eq(c->providers[0].host, "a");
    ck_assert_uint_eq(c->providers[0].port, 5);
    config_free(c);
    c = parsed("\xef\xbb\xbf[provider a]\nhost = a\n");
    config_free(c);
}
END_TEST

START_TEST(too_many_providers_are_refused)
{
    char text[4096];
    size_t n = 0;

    for (int i = 0; i <= CONFIG_PROVIDERS; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "[provider p%d]\nhost = h\n", i);
    refused(text, "t.conf:65: more than 32 providers");
}
END_TEST

START_TEST(mount_options_set_mount_keys)
{
    struct config *c = parsed(MAIN);

    ck_assert_int_eq(config_mount_set(c, "umask", "077", err, sizeof(err)), 0);
    ck_assert_uint_eq(c->mount.umask, 077);
    ck_assert_int_eq(config_mount_set(c, "allow_other", NULL, err, sizeof(err)), 0);
    ck_assert(c->mount.allow_other);
    ck_assert_int_eq(config_mount_set(c, "allow_other", "no", err, sizeof(err)), 0);
    ck_assert(!c->mount.allow_other);
    ck_assert_int_eq(config_mount_set(c, "umask", NULL, err, sizeof(err)), -EINVAL);
    ck_assert_str_eq(err, "umask needs a value: umask=…");
    ck_assert_int_eq(config_mount_set(c, "umask", "9", err, sizeof(err)), -EINVAL);
    ck_assert_int_eq(config_mount_set(c, "host", "x", err, sizeof(err)), -ENOENT);
    config_free(c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/config");
    TCase *t = tcase_create("config");
    SRunner *r = srunner_create(s);

    log_set_level(LOG_AT_ERROR);
    suite_add_tcase(s, t);
    tcase_add_test(t, one_provider_with_a_host_is_enough);
    tcase_add_test(t, every_key_is_read);
    tcase_add_test(t, a_list_of_names_is_refused_where_its_quotes_are_wrong);
    tcase_add_test(t, a_mistyped_key_is_refused_with_the_likely_one);
    tcase_add_test(t, unknown_sections_are_refused_even_when_empty);
    tcase_add_test(t, what_stands_twice_is_refused_with_both_lines);
    tcase_add_test(t, no_provider_says_what_to_write);
    tcase_add_test(t, lines_that_are_none_are_refused);
    tcase_add_test(t, a_comment_behind_a_value_is_explained);
    tcase_add_test(t, numbers_have_bounds);
    tcase_add_test(t, sizes_have_units_and_bounds);
    tcase_add_test(t, hosts_with_a_port_or_blanks_are_refused);
    tcase_add_test(t, half_a_login_is_refused);
    tcase_add_test(t, secrets_come_from_files_beside_the_configuration_and_from_credentials);
    tcase_add_test(t, the_first_file_that_exists_is_read);
    tcase_add_test(t, long_lines_and_nul_bytes_are_refused);
    tcase_add_test(t, windows_line_ends_and_a_byte_order_mark_are_harmless);
    tcase_add_test(t, too_many_providers_are_refused);
    tcase_add_test(t, mount_options_set_mount_keys);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
