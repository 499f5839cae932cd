#include "base/config.h"
#include "base/log.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Guarantees and bursts: what is made of what the user wrote, and of what the user did not write. */

#define TEN "[provider main]\nhost = news.example.net\n" /* connections = 10 is the default */

static char err[512];

static struct config *parsed(const char *text)
{
    struct config *c = NULL;
    int rc = config_parse(text, strlen(text), "t.conf", &c, err, sizeof(err));

    ck_assert_msg(rc == 0, "refused: %s\n%s", err, text);
    return c;
}

static void refused(const char *text, const char *what)
{
    struct config *c = NULL;

    ck_assert_int_lt(config_parse(text, strlen(text), "t.conf", &c, err, sizeof(err)), 0);
    ck_assert_ptr_null(c);
    ck_assert_str_eq(err, what);
}

/* Providers whose connections add up to `total`, at most 1,000 each. */
static void pool_write(unsigned total, char *out, size_t room)
{
    unsigned first = total > 1000 ? 1000 : total;
    size_t n = (size_t)snprintf(out, room, "[provider a]\nhost = a\nconnections = %u\n", first);

    if (total > first)
        snprintf(out + n, room - n, "[provider b]\nhost = b\nconnections = %u\n", total - first);
}

static void guaranteed(const struct config *c, unsigned streaming, unsigned queue, unsigned health)
{
    unsigned s = c->classes[TRAFFIC_STREAMING].guaranteed;
    unsigned q = c->classes[TRAFFIC_QUEUE].guaranteed, h = c->classes[TRAFFIC_HEALTH].guaranteed;

    ck_assert_msg(s == streaming && q == queue && h == health,
                  "of %u: streaming %u, queue %u, health %u are guaranteed; not %u, %u, %u",
                  c->pool.connections, s, q, h, streaming, queue, health);
}

/* What holds for every configuration that is accepted. */
static void expect_sound(const struct config *c, const char *text)
{
    unsigned sum = 0, total = c->pool.connections;

    for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
        const struct config_class *cl = &c->classes[k];
        ck_assert_msg(cl->guaranteed <= cl->burst, "guaranteed above burst:\n%s", text);
        ck_assert_msg(cl->burst >= 1 && cl->burst <= total, "burst:\n%s", text);
        ck_assert_msg(cl->weight >= 1, "weight:\n%s", text);
        sum += cl->guaranteed;
    }
    ck_assert_msg(sum <= total, "sum of guarantees:\n%s", text);
}

/* --- nothing written --------------------------------------------------------------------------- */

START_TEST(defaults_fit_every_pool)
{
    for (unsigned t = 1; t <= 2000; t++) {
        char text[200];
        pool_write(t, text, sizeof(text));
        struct config *c = parsed(text);
        const struct config_class *s = &c->classes[TRAFFIC_STREAMING];
        const struct config_class *q = &c->classes[TRAFFIC_QUEUE];
        const struct config_class *h = &c->classes[TRAFFIC_HEALTH];
        expect_sound(c, text);
        ck_assert_uint_eq(c->pool.connections, t);
        ck_assert_uint_ge(s->guaranteed, 1);
        ck_assert_uint_ge(q->guaranteed, t >= 2);
        ck_assert_uint_ge(h->guaranteed, t >= 3);
        if (t >= 10) {
            ck_assert_uint_eq(s->guaranteed, t * 40 / 100);
            ck_assert_uint_eq(q->guaranteed, t * 30 / 100);
            ck_assert_uint_eq(h->guaranteed, t * 10 / 100);
        }
        ck_assert_uint_eq(s->burst, t);
        ck_assert_uint_eq(q->burst, t);
        ck_assert_uint_eq(h->burst, t >= 4 ? t * 25 / 100 : 1);
        config_free(c);
    }
}
END_TEST

START_TEST(small_pools_are_shared_as_one_would_by_hand)
{
    static const unsigned pools[][4] = {
        /* total, streaming, queue, health */
        {1, 1, 0, 0}, /* whoever watches goes first */
        {2, 1, 1, 0}, {3, 1, 1, 1}, {4, 1, 1, 1}, {5, 2, 1, 1}, {10, 4, 3, 1}, {20, 8, 6, 2},
    };

    for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
        char text[200];
        pool_write(pools[i][0], text, sizeof(text));
        struct config *c = parsed(text);
        guaranteed(c, pools[i][1], pools[i][2], pools[i][3]);
        config_free(c);
    }
}
END_TEST

/* --- partly written ---------------------------------------------------------------------------- */

static void shares(const char *text, unsigned streaming, unsigned queue, unsigned health)
{
    struct config *c = parsed(text);

    guaranteed(c, streaming, queue, health);
    config_free(c);
}

START_TEST(who_says_nothing_has_the_default_while_it_fits)
{
    shares(TEN "[class streaming]\nguaranteed = 6\n", 6, 3, 1);
    shares(TEN "[class queue]\nguaranteed = 0\n", 4, 0, 1);
    shares(TEN "[class health]\nguaranteed = 3\n", 4, 3, 3);
}
END_TEST

START_TEST(defaults_that_do_not_fit_share_what_is_left_in_proportion)
{
    shares(TEN "[class health]\nguaranteed = 6\n", 2, 1, 6);
    shares(TEN "[class queue]\nguaranteed = 9\n", 1, 9, 0);
    shares(TEN "[class streaming]\nguaranteed = 9\n", 9, 1, 0);
    shares(TEN "[class streaming]\nguaranteed = 100%\n", 10, 0, 0);
    shares("[provider a]\nhost = a\nconnections = 145\n[class health]\nguaranteed = 60\n", 48, 36,
           60);
}
END_TEST

START_TEST(a_default_burst_makes_room_for_a_written_guarantee)
{
    struct config *c = parsed(TEN "[class health]\nguaranteed = 6\n");

    ck_assert_uint_eq(c->classes[TRAFFIC_HEALTH].burst, 6);
    config_free(c);
}
END_TEST

START_TEST(a_default_guarantee_keeps_below_a_written_burst)
{
    shares(TEN "[class streaming]\nburst = 2\n", 2, 3, 1);
}
END_TEST

START_TEST(percentages_are_rounded_down_but_not_to_nothing)
{
    shares(TEN "[class streaming]\nguaranteed = 19%\n[class queue]\nguaranteed = 5%\n"
               "[class health]\nguaranteed = 1%\n",
           1, 1, 1);
    shares(TEN "[class streaming]\nguaranteed = 0%\n[class queue]\nguaranteed = 0\n"
               "[class health]\nguaranteed = 0\n",
           0, 0, 0);
    shares(TEN "[class queue]\nguaranteed = 10\n[class health]\nguaranteed = 0\n", 0, 10, 0);
}
END_TEST

START_TEST(numbers_and_percentages_mix)
{
    shares(TEN "[class streaming]\nguaranteed = 50%\n[class queue]\nguaranteed = 4\n"
               "[class health]\nguaranteed = 10%\n",
           5, 4, 1);
}
END_TEST

START_TEST(the_pool_may_be_smaller_than_the_providers_and_is_never_larger)
{
    struct config *c = parsed(TEN "[pool]\nconnections = 5\n");

    ck_assert_uint_eq(c->pool.connections, 5);
    guaranteed(c, 2, 1, 1);
    config_free(c);
    c = parsed(TEN "[pool]\nconnections = 500\n");
    ck_assert_uint_eq(c->pool.connections, 10);
    config_free(c);
}
END_TEST

START_TEST(weights_are_the_guarantees_unless_set)
{
    struct config *c =
        parsed(TEN "[class streaming]\nweight = 7\n[class health]\nguaranteed = 0\n");

    ck_assert_uint_eq(c->classes[TRAFFIC_STREAMING].weight, 7);
    ck_assert_uint_eq(c->classes[TRAFFIC_QUEUE].weight, 3);
    ck_assert_uint_eq(c->classes[TRAFFIC_HEALTH].weight, 1);
    config_free(c);
}
END_TEST

START_TEST(what_is_late_is_asked_for_twice_up_to_three_percent_unless_set)
{
    static const struct {
        const char *text;
        unsigned permille;
    } rows[] = {{TEN, 30},
                {TEN "[class streaming]\nguaranteed = 6\n", 30},
                {TEN "[class streaming]\nhedge = 0\n", 0},
                {TEN "[class streaming]\nhedge = 0%\n[class queue]\nhedge = 0\n", 0},
                {TEN "[class streaming]\nhedge = 100%\n", 1000}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config *c = parsed(rows[i].text);
        ck_assert_uint_eq(c->classes[TRAFFIC_STREAMING].hedge, rows[i].permille);
        ck_assert_uint_eq(c->classes[TRAFFIC_QUEUE].hedge, 0);
        ck_assert_uint_eq(c->classes[TRAFFIC_HEALTH].hedge, 0);
        config_free(c);
    }
    refused(TEN "[class streaming]\nhedge = 3\n",
            "t.conf:4: hedge = 3 is no share; write 0% to 100%");
    refused(TEN "[class health]\nhedge = 3%\n",
            "t.conf:4: hedge is for [class streaming]: nobody waits for what health asks for");
}
END_TEST

/* --- properties -------------------------------------------------------------------------------- */

static uint64_t dice_state = 0x9e3779b97f4a7c15u;

static unsigned dice(unsigned n)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return (unsigned)(dice_state >> 33) % n;
}

static const char *const names[TRAFFIC_CLASSES] = {"queue", "health", "streaming"};

START_TEST(no_partial_wish_that_could_be_completed_is_refused)
{
    for (unsigned round = 0; round < 5000; round++) {
        unsigned t = 1 + dice(dice(2) ? 12 : 2000), left = t, percent = 100, written = 0;
        char text[1000];
        pool_write(t, text, sizeof(text));
        for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
            size_t n = strlen(text);
            if (dice(2))
                continue;
            bool p =
                dice(2) != 0 && left == t; /* percentages of the whole, or numbers of the rest */
            unsigned g = p ? dice(percent + 1) : percent == 100 ? dice(left + 1) : 0;
            percent -= p ? g : 0;
            left -= p ? 0 : g;
            written |= 1u << k;
            snprintf(text + n, sizeof(text) - n, "[class %s]\nguaranteed = %u%s\n", names[k], g,
                     p ? "%" : "");
        }
        struct config *c = parsed(text);
        expect_sound(c, text);
        unsigned sum = 0;
        for (unsigned k = 0; k < TRAFFIC_CLASSES; k++)
            sum += written >> k & 1 ? c->classes[k].guaranteed : 0;
        if (!(written >> TRAFFIC_STREAMING & 1) && sum < t)
            ck_assert_msg(c->classes[TRAFFIC_STREAMING].guaranteed, "nothing to watch with:\n%s",
                          text);
        config_free(c);
    }
}
END_TEST

START_TEST(whatever_is_written_is_sound_or_refused_with_its_line)
{
    unsigned accepted = 0;

    for (unsigned round = 0; round < 10000; round++) {
        unsigned t = 1 + dice(30);
        char text[1000];
        struct config *c = NULL;
        pool_write(t, text, sizeof(text));
        for (unsigned k = 0; k < TRAFFIC_CLASSES; k++) {
            size_t n = strlen(text);
            n += (size_t)snprintf(text + n, sizeof(text) - n, "[class %s]\n", names[k]);
            if (dice(3))
                n += (size_t)snprintf(text + n, sizeof(text) - n, "guaranteed = %u%s\n",
                                      dice(dice(2) ? 7 : 60), dice(2) ? "%" : "");
            if (dice(2))
                snprintf(text + n, sizeof(text) - n, "burst = %u%s\n", dice(40),
                         dice(2) ? "%" : "");
        }
        int rc = config_parse(text, strlen(text), "t.conf", &c, err, sizeof(err));
        if (rc == 0) {
            expect_sound(c, text);
            accepted++;
        } else {
            unsigned line = 0;
            ck_assert_int_eq(rc, -EINVAL);
            ck_assert_msg(sscanf(err, "t.conf:%u:", &line) == 1 && line > 3, "%s\n%s", err, text);
            ck_assert_msg(strstr(err, "; write at "), "%s", err);
        }
        config_free(c);
    }
    ck_assert_uint_ge(accepted, 1000);
    ck_assert_uint_le(accepted, 9000);
}
END_TEST

/* --- refusals ---------------------------------------------------------------------------------- */

START_TEST(a_burst_that_the_pool_does_not_have_is_refused)
{
    refused(
        TEN "[class queue]\nburst = 11\n",
        "t.conf:4: burst = 11 in [class queue] is more than the pool's 10 connections; write at "
        "most 10, or 100%");
    refused(TEN "[class queue]\nburst = 0\n",
            "t.conf:4: burst = 0 in [class queue] would never let it have a connection; write at "
            "least 1");
    refused(TEN "[class queue]\nburst = 0%\n",
            "t.conf:4: burst = 0 in [class queue] would never let it have a connection; write at "
            "least 1");
}
END_TEST

START_TEST(a_guarantee_above_its_burst_is_refused)
{
    refused(TEN "[class queue]\nguaranteed = 5\nburst = 4\n",
            "t.conf:4: guaranteed = 5 in [class queue] is more than its burst of 4; write at most "
            "that, or a higher burst");
    refused(TEN "[class queue]\nburst = 10%\nguaranteed = 5\n",
            "t.conf:5: guaranteed = 5 in [class queue] is more than its burst of 10% (1); write at "
            "most that, or a higher burst");
    /* One connection either way, until the pool grows. */
    refused(TEN "[class queue]\nburst = 10%\nguaranteed = 15%\n",
            "t.conf:5: guaranteed = 15% (1) in [class queue] is more than its burst of 10% (1); "
            "write at most that, or a higher burst");
    refused(TEN "[class queue]\nguaranteed = 11\n",
            "t.conf:4: guaranteed = 11 in [class queue] is more than the pool's 10 connections; "
            "write at most that");
}
END_TEST

START_TEST(guarantees_above_the_pool_are_refused_at_the_line_that_goes_too_far)
{
    refused(TEN "[class queue]\nguaranteed = 6\n[class health]\nguaranteed = 30%\n"
                "[class streaming]\nguaranteed = 2\n",
            "t.conf:8: guaranteed = 2 in [class streaming] is more than queue 6 and health 30% (3) "
            "leave of the pool's 10 connections; write at most 1");
    refused("[provider a]\nhost = a\nconnections = 3\n[class streaming]\nguaranteed = 70%\n"
            "[class queue]\nguaranteed = 40%\n",
            "t.conf:7: guaranteed = 40% in [class queue] together with streaming 70% (2) makes "
            "110%; write at most 30%");
}
END_TEST

START_TEST(percentages_above_100_are_refused)
{
    refused(TEN "[class queue]\nguaranteed = 101%\n",
            "t.conf:4: guaranteed = 101% is more than the whole pool; write at most 100%");
}
END_TEST

START_TEST(a_reserve_that_leaves_nothing_is_refused)
{
    refused(TEN "[pool]\nreserve = 10\n",
            "t.conf:4: reserve = 10 leaves nothing of the pool's 10 connections; write at most 9");
}
END_TEST

START_TEST(a_provider_without_connections_is_refused)
{
    refused("[provider a]\nhost = a\nconnections = 0\n",
            "t.conf:3: connections = '0' is not a number from 1 to 1000");
}
END_TEST

/* --- what comes of them ------------------------------------------------------------------------ */

#define WORKED                                                                                     \
    "[provider a]\nhost = a\nconnections = 100\n[provider b]\nhost = b\nconnections = 45\n"        \
    "[class queue]\nguaranteed = 30\nburst = 145\n[class health]\nguaranteed = 60\nburst = 60\n"   \
    "[class streaming]\nguaranteed = 55\nburst = 145\n"

static void when(const char *text, bool q, bool h, bool s, unsigned queue, unsigned health,
                 unsigned streaming)
{
    const bool busy[TRAFFIC_CLASSES] = {q, h, s};
    unsigned n[TRAFFIC_CLASSES];
    struct config *c = parsed(text);

    config_shares_when(c, busy, n);
    ck_assert_msg(n[0] == queue && n[1] == health && n[2] == streaming,
                  "queue %u, health %u, streaming %u; not %u, %u, %u", n[0], n[1], n[2], queue,
                  health, streaming);
    config_free(c);
}

START_TEST(the_worked_example_comes_out)
{
    when(WORKED, true, false, false, 145, 0, 0);
    when(WORKED, true, true, false, 85, 60, 0);
    when(WORKED, true, true, true, 30, 60, 55);
    when(WORKED, true, false, true, 51, 0, 94);
    when(WORKED, false, false, false, 0, 0, 0);
}
END_TEST

START_TEST(a_reserve_stays_free_but_for_guarantees)
{
    when(TEN "[pool]\nreserve = 3\n", true, false, false, 7, 0, 0);
    when(TEN "[pool]\nreserve = 9\n", true, true, true, 3, 1, 4);
}
END_TEST

START_TEST(what_only_fills_gaps_is_not_counted_on)
{
    when(TEN "[provider b]\nhost = b\ntier = 1\n", true, false, false, 10, 0, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/config_shares");
    TCase *t = tcase_create("shares");
    SRunner *r = srunner_create(s);

    log_set_level(LOG_AT_ERROR);
    suite_add_tcase(s, t);
    tcase_add_test(t, defaults_fit_every_pool);
    tcase_add_test(t, small_pools_are_shared_as_one_would_by_hand);
    tcase_add_test(t, who_says_nothing_has_the_default_while_it_fits);
    tcase_add_test(t, defaults_that_do_not_fit_share_what_is_left_in_proportion);
    tcase_add_test(t, a_default_burst_makes_room_for_a_written_guarantee);
    tcase_add_test(t, a_default_guarantee_keeps_below_a_written_burst);
    tcase_add_test(t, percentages_are_rounded_down_but_not_to_nothing);
    tcase_add_test(t, numbers_and_percentages_mix);
    tcase_add_test(t, the_pool_may_be_smaller_than_the_providers_and_is_never_larger);
    tcase_add_test(t, weights_are_the_guarantees_unless_set);
    tcase_add_test(t, what_is_late_is_asked_for_twice_up_to_three_percent_unless_set);
    tcase_add_test(t, no_partial_wish_that_could_be_completed_is_refused);
    tcase_add_test(t, whatever_is_written_is_sound_or_refused_with_its_line);
    tcase_add_test(t, a_burst_that_the_pool_does_not_have_is_refused);
    tcase_add_test(t, a_guarantee_above_its_burst_is_refused);
    tcase_add_test(t, guarantees_above_the_pool_are_refused_at_the_line_that_goes_too_far);
    tcase_add_test(t, percentages_above_100_are_refused);
    tcase_add_test(t, a_reserve_that_leaves_nothing_is_refused);
    tcase_add_test(t, a_provider_without_connections_is_refused);
    tcase_add_test(t, the_worked_example_comes_out);
    tcase_add_test(t, a_reserve_stays_free_but_for_guarantees);
    tcase_add_test(t, what_only_fills_gaps_is_not_counted_on);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
