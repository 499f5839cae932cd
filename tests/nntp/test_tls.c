/* TLS: who is believed, and who is not. */
#include "base/clock.h"
#include "base/log.h"
#include "tests/nntp/rig.h"

#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* What is said on stderr while the pool runs, for the words that a person would see. */
static char said[4096];
static int saved = -1;
static FILE *notes;

static void listen_in(void)
{
    log_set_level(LOG_AT_INFO);
    notes = tmpfile();
    ck_assert_ptr_nonnull(notes);
    fflush(stderr);
    saved = dup(STDERR_FILENO);
    dup2(fileno(notes), STDERR_FILENO);
}

static void stop_listening(void)
{
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(notes);
    size_t n = fread(said, 1, sizeof(said) - 1, notes);
    said[n] = '\0';
    fclose(notes);
}

/* Part 1: DONE, however long that takes; or, given a little while, TIMEOUT when nobody trustworthy
 * answers. */
static enum segment_result try_once(struct rig *r, enum segment_result expected)
{
    struct fetch t;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    fetch_init(&t, r, 1);
    if (expected != SEGMENT_DONE)
        t.f.want.deadline_us =
            (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 + 1000000;
    fetch_start(&t, r);
    enum segment_result result = fetch_wait(&t);
    if (result == SEGMENT_DONE)
        fetch_check(&t, 1);
    fetch_fini(&t);
    return result;
}

START_TEST(a_verified_server_serves)
{
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){.tls = true});
    rig_start(&r);
    ck_assert_int_eq(try_once(&r, SEGMENT_DONE), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

START_TEST(a_server_is_verified_by_its_name_too)
{
    char name[] = "localhost";
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){.tls = true});
    r.cfg.providers[0].host = name;
    rig_start(&r);
    ck_assert_int_eq(try_once(&r, SEGMENT_DONE), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

/* A certificate for other.example.net that signs itself, and its key, in files. */
static void other_make(char *cert_path, char *key_path)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    char names[] = "DNS:other.example.net";
    X509_EXTENSION *alt = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

    ck_assert(key && cert && alt);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"other", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    X509_add_ext(cert, alt, -1);
    ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
    FILE *f = fdopen(mkstemp(cert_path), "w");
    ck_assert(f && PEM_write_X509(f, cert));
    fclose(f);
    f = fdopen(mkstemp(key_path), "w");
    ck_assert(f && PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
    fclose(f);
    X509_EXTENSION_free(alt);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void another_name(bool verify, enum segment_result expected)
{
    char cert[] = "/tmp/nzbfs-cert-XXXXXX", key[] = "/tmp/nzbfs-key-XXXXXX";
    struct rig r;
    other_make(cert, key);
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){.tls = true, .cert_file = cert, .key_file = key});
    r.cfg.providers[0].ca_file = cert; /* so it is the name alone that is wrong */
    r.cfg.providers[0].verify = verify;
    rig_start(&r);
    listen_in();
    enum segment_result result = try_once(&r, expected);
    stop_listening();
    unlink(cert);
    unlink(key);
    ck_assert_int_eq(result, expected);
    rig_fini(&r);
}

START_TEST(a_certificate_for_another_name_is_refused_and_says_for_whom_it_is)
{
    another_name(true, SEGMENT_TIMEOUT);
    ck_assert_msg(strstr(said, "certificate is for other.example.net") != NULL, "%s", said);
    ck_assert_ptr_nonnull(strstr(said, "verify = no"));
}
END_TEST

START_TEST(verify_no_accepts_another_name)
{
    another_name(false, SEGMENT_DONE);
}
END_TEST

START_TEST(a_certificate_that_nobody_trusted_signed_is_refused)
{
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){.tls = true});
    r.cfg.providers[0].ca_file = NULL;
    rig_start(&r);
    listen_in();
    enum segment_result result = try_once(&r, SEGMENT_TIMEOUT);
    stop_listening();
    ck_assert_int_eq(result, SEGMENT_TIMEOUT);
    ck_assert_msg(strstr(said, "not signed by anyone trusted") != NULL, "%s", said);
    rig_fini(&r);
}
END_TEST

START_TEST(verify_no_accepts_it)
{
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){.tls = true});
    r.cfg.providers[0].ca_file = NULL;
    r.cfg.providers[0].verify = false;
    rig_start(&r);
    ck_assert_int_eq(try_once(&r, SEGMENT_DONE), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

START_TEST(tls_to_a_port_that_speaks_plain_says_so)
{
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){0});
    r.cfg.providers[0].tls = true;
    rig_start(&r);
    listen_in();
    enum segment_result result = try_once(&r, SEGMENT_TIMEOUT);
    stop_listening();
    ck_assert_int_eq(result, SEGMENT_TIMEOUT);
    ck_assert_msg(strstr(said, "does this port speak TLS?") != NULL, "%s", said);
    rig_fini(&r);
}
END_TEST

START_TEST(later_connections_resume_the_session)
{
    struct newsd_stats s;
    struct rig r;
    rig_init(&r, 6);
    rig_server(&r, &(struct newsd_config){.tls = true});
    rig_start(&r);
    for (uint32_t n = 1; n <= 6; n++) {
        ck_assert_int_eq(fetch_part(&r, n), SEGMENT_DONE);
        newsd_drop_all(r.servers[0]);
    }
    newsd_stats(r.servers[0], &s);
    ck_assert_uint_ge(s.accepted, 2);
    ck_assert_uint_ge(s.resumed_tls, 1);
    rig_fini(&r);
}
END_TEST

START_TEST(many_fetches_at_once_arrive_over_tls)
{
    static struct fetch t[64];
    struct rig r;
    rig_init(&r, 64);
    rig_server(&r, &(struct newsd_config){.tls = true});
    rig_start(&r);
    for (uint32_t i = 0; i < 64; i++) {
        fetch_init(&t[i], &r, i + 1);
        fetch_start(&t[i], &r);
    }
    for (uint32_t i = 0; i < 64; i++) {
        ck_assert_int_eq(fetch_wait(&t[i]), SEGMENT_DONE);
        fetch_check(&t[i], i + 1);
        fetch_fini(&t[i]);
    }
    rig_fini(&r);
}
END_TEST

START_TEST(a_rate_limit_holds_back_tls_too)
{
    static struct fetch t[8];
    struct rig r;
    rig_init(&r, 8);
    rig_server(&r, &(struct newsd_config){.tls = true});
    r.cfg.providers[0].rate_bps = 300000;
    rig_start(&r);
    uint64_t begun_us = clock_now_us();
    for (uint32_t i = 0; i < 8; i++) {
        fetch_init(&t[i], &r, i + 1);
        fetch_start(&t[i], &r);
    }
    for (uint32_t i = 0; i < 8; i++) {
        ck_assert_int_eq(fetch_wait(&t[i]), SEGMENT_DONE);
        fetch_check(&t[i], i + 1);
        fetch_fini(&t[i]);
    }
    /* 160,000 bytes, of which 65,536 may come at once. */
    ck_assert_uint_ge(clock_now_us() - begun_us, 310000);
    rig_fini(&r);
}
END_TEST

START_TEST(a_connection_cut_in_the_middle_of_a_record_is_asked_again)
{
    static const enum newsd_fault faults[] = {NEWSD_CLOSE_MID, NEWSD_RESET_MID};
    struct rig r;
    rig_init(&r, 1);
    rig_server(&r, &(struct newsd_config){.tls = true});
    newsd_fault(r.servers[0], spool_message_id(r.spool, r.file, 1), faults[_i], 1);
    rig_start(&r);
    ck_assert_int_eq(fetch_part(&r, 1), SEGMENT_DONE);
    rig_fini(&r);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/tls");
    TCase *t = tcase_create("tls");
    tcase_add_test(t, a_verified_server_serves);
    tcase_add_test(t, a_server_is_verified_by_its_name_too);
    tcase_add_test(t, a_certificate_for_another_name_is_refused_and_says_for_whom_it_is);
    tcase_add_test(t, verify_no_accepts_another_name);
    tcase_add_test(t, a_certificate_that_nobody_trusted_signed_is_refused);
    tcase_add_test(t, verify_no_accepts_it);
    tcase_add_test(t, tls_to_a_port_that_speaks_plain_says_so);
    tcase_add_test(t, later_connections_resume_the_session);
    tcase_add_test(t, many_fetches_at_once_arrive_over_tls);
    tcase_add_test(t, a_rate_limit_holds_back_tls_too);
    tcase_add_loop_test(t, a_connection_cut_in_the_middle_of_a_record_is_asked_again, 0, 2);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
