/* Streams beside one another: bytes, caps, and what a seek has to wait for. */
#include "bench/shares.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* --- fair ------------------------------------------------------------------------------------------- */

#define STREAMS 12u

static double jain(const double *v, unsigned n)
{
    double sum = 0, squares = 0;

    for (unsigned i = 0; i < n; i++) {
        sum += v[i];
        squares += v[i] * v[i];
    }
    return squares > 0 ? sum * sum / (n * squares) : 0;
}

/* Every other stream has articles of half the size: the turns are in bytes. */
static void equal_streams(struct scenes *x, const struct pace *pace, uint64_t us, bool must)
{
    struct load loads[STREAMS];
    double bytes[STREAMS];
    struct stage s;

    stage_init(&s, pace);
    stage_server(&s, 20);
    stage_class(&s, TRAFFIC_STREAMING, 10, 20);
    stage_class(&s, TRAFFIC_QUEUE, 6, 20);
    stage_class(&s, TRAFFIC_HEALTH, 2, 5);
    stage_start(&s);
    for (unsigned i = 0; i < STREAMS; i++) {
        load_init(&loads[i], &s, TRAFFIC_STREAMING, (char)('a' + i), 16,
                  i % 2 ? pace->payload / 2 : pace->payload);
        loads[i].urgency = URGENCY_READAHEAD;
        load_start(&loads[i], 0);
    }
    pause_us(3 * (uint64_t)s.article_us);
    for (unsigned i = 0; i < STREAMS; i++)
        bytes[i] = -(double)load_bytes(&loads[i]);
    pause_us(us);
    double least = 0, most = 0;
    for (unsigned i = 0; i < STREAMS; i++) {
        bytes[i] += (double)load_bytes(&loads[i]);
        least = i == 0 || bytes[i] < least ? bytes[i] : least;
        most = bytes[i] > most ? bytes[i] : most;
    }
    report_line(x->report, jain(bytes, STREAMS), "", must ? BOUND_LEAST : BOUND_NONE, 0.99,
                "%u streams, articles of %.2f and %.2f KB: Jain's index in bytes, %.1f s", STREAMS,
                pace->payload / 1e3, pace->payload / 2e3, (double)us / 1e6);
    report_line(x->report, least > 0 ? most / least : 0, "", BOUND_NONE, 0,
                "most over least (%.0f and %.0f KB)", most / 1e3, least / 1e3);
    for (unsigned i = 0; i < STREAMS; i++)
        load_cancel(&loads[i]);
    for (unsigned i = 0; i < STREAMS; i++)
        load_fini(&loads[i]);
    stage_fini(&s);
}

/* Three streams that may each hold 5 of 20, without pipelining, so that a command is a connection. */
static void capped_streams(struct scenes *x, const struct pace *pace, uint64_t us)
{
    struct samples held = {0};
    struct load loads[3];
    struct stage s;

    stage_init(&s, pace);
    stage_server(&s, 20);
    s.cfg.providers[0].pipelining = 1;
    stage_class(&s, TRAFFIC_STREAMING, 10, 20);
    stage_class(&s, TRAFFIC_QUEUE, 6, 20);
    stage_class(&s, TRAFFIC_HEALTH, 2, 5);
    s.cfg.classes[TRAFFIC_STREAMING].per_stream = 5;
    stage_start(&s);
    for (unsigned i = 0; i < 3; i++) {
        load_init(&loads[i], &s, TRAFFIC_STREAMING, (char)('a' + i), 40, pace->payload);
        load_start(&loads[i], 0);
    }
    for (uint64_t start = clock_now_us(); clock_now_us() - start < us; pause_us(2000)) {
        struct newsd_tags t;
        newsd_tags(s.servers[0], &t);
        for (unsigned i = 0; i < 3; i++)
            samples_add(&held, t.of[newsd_tag_index((char)('a' + i))].in_flight);
    }
    report_line(x->report, samples_percentile(&held, 100), "sockets", BOUND_MOST, 5,
                "a stream capped at 5 holds by the server's count, most of %u samples", held.n);
    report_line(x->report, samples_percentile(&held, 50), "sockets", BOUND_LEAST, 5,
                "the same, median");
    for (unsigned i = 0; i < 3; i++)
        load_fini(&loads[i]);
    samples_fini(&held);
    stage_fini(&s);
}

void scene_fair(struct scenes *x)
{
    const struct pace large = {.latency_us = 40000, .rate_bps = 2000000, .payload = 200000};
    const struct pace small = {.latency_us = 40000, .rate_bps = 50000, .payload = 5000};

    report_scene(
        x->report, "fair",
        "%u hungry streams on 20 connections, half of them with articles of half the size; "
        "%u ms until the first byte, 2 MB/s (small articles: 50 KB/s); pipelining 4 (1 with "
        "the cap)",
        STREAMS, large.latency_us / 1000);
    equal_streams(x, &large, x->quick ? 1000000 : 10000000, true);
    if (!x->quick)
        equal_streams(x, &small, 4000000, false);
    capped_streams(x, &small, x->quick ? 300000 : 4000000);
}
