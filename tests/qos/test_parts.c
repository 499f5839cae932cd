#include "base/heap.h"
#include "base/list.h"
#include "qos/qos.h"

#include <check.h>
#include <stdlib.h>

/* The small parts: the heap, the rate buckets. */

#define S  1000000u
#define KB UINT64_C(1024)
#define MB (1024 * KB)

static uint64_t rng = 1;

static unsigned up_to(unsigned n)
{
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(rng >> 33) % n;
}

/* --- heap --- */

struct item {
    struct heap_node node;
    unsigned key;
    bool in;
};

static bool item_before(const struct heap_node *a, const struct heap_node *b)
{
    return ((const struct item *)a)->key < ((const struct item *)b)->key;
}

START_TEST(a_heap_always_has_its_smallest_on_top)
{
    enum { N = 200 };
    static struct item items[N];
    struct heap h;
    heap_init(&h, item_before);
    for (unsigned step = 0; step < 20000; step++) {
        struct item *i = &items[up_to(N)];
        if (i->in) {
            heap_del(&h, &i->node);
        } else {
            i->key = up_to(100);
            heap_push(&h, &i->node);
        }
        i->in = !i->in;
        const struct item *least = NULL;
        for (unsigned k = 0; k < N; k++) {
            if (items[k].in && (!least || items[k].key < least->key))
                least = &items[k];
        }
        ck_assert_int_eq(h.top != NULL, least != NULL);
        if (least)
            ck_assert_uint_eq(((struct item *)h.top)->key, least->key);
    }
}
END_TEST

/* --- rates --- */

static struct qos *rated(uint64_t global, uint64_t provider)
{
    struct qos_config cfg = {.nproviders = 1,
                             .rate_bps = global,
                             .providers = {{.connections = 100, .rate_bps = provider}},
                             .classes = {{.burst = 1}, {.burst = 1}, {.burst = 1}}};
    struct qos *q = qos_new(&cfg, &(struct qos_limits){8, 100, 8});
    ck_assert_ptr_nonnull(q);
    return q;
}

/** Bytes that so many greedy readers get within 10 s, each reading up to 256 KiB at a time. */
static uint64_t read_for_10_s(struct qos *q, unsigned readers)
{
    uint64_t sum = 0;
    qos_time now = S, wait[128] = {0};
    while (now < 11 * S) {
        qos_time next = UINT64_MAX;
        for (unsigned i = 0; i < readers; i++) {
            qos_time again = 0;
            while (wait[i] <= now) {
                uint64_t n = qos_rate_take(q, now, 0, 256 * KB, &again);
                sum += n;
                if (!n) {
                    ck_assert(again > now); /* or the reader would spin */
                    wait[i] = again;
                }
            }
            next = wait[i] < next ? wait[i] : next;
        }
        now = next;
    }
    return sum;
}

START_TEST(a_rate_holds_within_two_percent_over_ten_seconds)
{
    static const unsigned readers[] = {1, 15, 100};
    static const uint64_t rates[] = {64 * KB, 3 * MB, 200 * MB};
    for (unsigned r = 0; r < 3; r++) {
        for (unsigned k = 0; k < 4; k++) {
            /* global, provider's, and each as the lower of two */
            struct qos *q = rated(k == 1   ? 0
                                  : k == 3 ? 2 * rates[r]
                                           : rates[r],
                                  k == 0   ? 0
                                  : k == 2 ? 2 * rates[r]
                                           : rates[r]);
            /* What the bucket holds at the start is no part of the rate. */
            qos_time again;
            uint64_t n;
            while ((n = qos_rate_take(q, S, 0, UINT64_MAX, &again)) > 0)
                ck_assert_uint_le(n, 128 * MB);
            double got = (double)read_for_10_s(q, readers[_i]), want = 10.0 * (double)rates[r];
            ck_assert_msg(got > 0.98 * want && got < 1.02 * want, "%f of %f", got, want);
            qos_free(q);
        }
    }
}
END_TEST

/* A bucket's burst is then more than a second's bytes, and whoever waits looks again seconds later. */
START_TEST(a_rate_of_a_few_bytes_holds_too)
{
    static const uint64_t rates[] = {1, 1000, 8 * KB, 20 * KB};
    struct qos *q = rated(rates[_i], 0);
    qos_time now = S, again, until;
    uint64_t got = 0, n;
    while (qos_rate_take(q, now, 0, UINT64_MAX, &again) > 0)
        continue;
    until = now + UINT64_C(100000) * S;
    ck_assert_uint_eq(qos_rate_take(q, now, 0, UINT64_MAX, &again), 0);
    while (now < until) {
        ck_assert_uint_gt(again, now);
        now = again;
        while ((n = qos_rate_take(q, now, 0, UINT64_MAX, &again)) > 0)
            got += n;
    }
    double want = (double)(now - S) / S * (double)rates[_i];
    ck_assert_msg((double)got > 0.98 * want - 1 && (double)got < 1.02 * want + 1,
                  "%llu bytes a second: %llu instead of %.0f", (unsigned long long)rates[_i],
                  (unsigned long long)got, want);
    qos_free(q);
}
END_TEST

/* The processor is somebody else's for a while, again and again: nothing of the rate is lost. */
START_TEST(who_looks_ten_times_a_second_has_all_of_the_rate)
{
    struct qos *q = rated(20 * MB, 0);
    qos_time again;
    uint64_t got = 0;
    while (qos_rate_take(q, S, 0, UINT64_MAX, &again) > 0)
        continue;
    for (qos_time now = S + S / 10; now <= 11 * S; now += S / 10)
        got += qos_rate_take(q, now, 0, UINT64_MAX, &again);
    ck_assert_uint_eq(got, 200 * MB);
    qos_free(q);
}
END_TEST

START_TEST(without_a_rate_everything_is_granted)
{
    struct qos *q = rated(0, 0);
    qos_time again;
    for (unsigned i = 0; i < 100; i++)
        ck_assert_uint_eq(qos_rate_take(q, S, 0, 1000 * MB, &again), 1000 * MB);
    qos_free(q);
}
END_TEST

START_TEST(what_is_given_back_can_be_taken_again_but_never_more_than_fits)
{
    struct qos *q = rated(1 * MB, 0);
    qos_time again;
    uint64_t first = qos_rate_take(q, S, 0, UINT64_MAX, &again);
    ck_assert_uint_ge(first, 64 * KB);
    ck_assert_uint_eq(qos_rate_take(q, S, 0, 1, &again), 0);
    qos_rate_give(q, 0, 1000);
    ck_assert_uint_eq(qos_rate_take(q, S, 0, UINT64_MAX, &again), 1000);
    qos_rate_give(q, 0, UINT64_MAX);
    ck_assert_uint_eq(qos_rate_take(q, S, 0, UINT64_MAX, &again), first);
    qos_free(q);
}
END_TEST

START_TEST(a_long_pause_saves_up_no_more_than_a_burst)
{
    struct qos *q = rated(1 * MB, 0);
    qos_time again;
    uint64_t first = qos_rate_take(q, S, 0, UINT64_MAX, &again);
    ck_assert_uint_eq(qos_rate_take(q, UINT64_C(1000000) * S, 0, UINT64_MAX, &again), first);
    ck_assert_uint_le(first, MB / 10);
    qos_free(q);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("qos/parts");
    TCase *t = tcase_create("heap");
    tcase_add_test(t, a_heap_always_has_its_smallest_on_top);
    suite_add_tcase(suite, t);
    t = tcase_create("rates");
    tcase_add_loop_test(t, a_rate_holds_within_two_percent_over_ten_seconds, 0, 3);
    tcase_add_loop_test(t, a_rate_of_a_few_bytes_holds_too, 0, 4);
    tcase_add_test(t, who_looks_ten_times_a_second_has_all_of_the_rate);
    tcase_add_test(t, without_a_rate_everything_is_granted);
    tcase_add_test(t, what_is_given_back_can_be_taken_again_but_never_more_than_fits);
    tcase_add_test(t, a_long_pause_saves_up_no_more_than_a_burst);
    suite_add_tcase(suite, t);
    SRunner *r = srunner_create(suite);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
