#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_EVERY_US   200000
#define LINE_FIRST_US  1000000
#define LINE_EVERY_US  10000000
#define RATE_WINDOW_US 500000

void progress_start(struct progress *p, bool terminal, uint64_t now_us)
{
    *p = (struct progress){.terminal = terminal, .start_us = now_us, .window_us = now_us};
    p->next_us = now_us + (terminal ? BAR_EVERY_US : LINE_FIRST_US);
}

const char *progress_size(uint64_t n, char out[16])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double d = (double)n;
    int u = -1;

    for (; d >= 999.5 && u < 5; u++)
        d /= 1024;
    if (u < 0)
        snprintf(out, 16, "%u B", (unsigned)n);
    else
        snprintf(out, 16, "%.*f %s", d < 99.95 ? 1 : 0, d, units[u]);
    return out;
}

const char *progress_time(uint64_t s, char out[16])
{
    if (s >= 100 * 3600)
        snprintf(out, 16, "> 99 h");
    else if (s >= 3600)
        snprintf(out, 16, "%u:%02u:%02u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60),
                 (unsigned)(s % 60));
    else
        snprintf(out, 16, "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
    return out;
}

static void rate_update(struct progress *p, uint64_t now_us, uint64_t fetched)
{
    uint64_t passed = now_us - p->window_us;

    if (passed < RATE_WINDOW_US && p->rate > 0)
        return;
    double now = passed ? (double)(fetched - p->window_bytes) * 1e6 / (double)passed : 0;
    /* Articles arrive in bursts: the mean over some seconds is what a person wants to see. */
    p->rate = p->rate > 0 ? 0.7 * p->rate + 0.3 * now : now;
    p->window_us = now_us;
    p->window_bytes = fetched;
}

static unsigned terminal_width(void)
{
    struct winsize w;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20 ? w.ws_col : 80;
}

static void bar_draw(struct progress *p, unsigned percent, const char *figures)
{
    char bar[128];
    unsigned width = terminal_width();
    size_t text = strlen(figures) + sizeof(" 100% []  ");
    size_t room = width > text ? width - text : 0;

    if (room > 60)
        room = 60;
    memset(bar, '.', room);
    memset(bar, '#', room * percent / 100);
    bar[room] = '\0';
    fprintf(stderr, "\r%3u%% [%s] %s\033[K", percent, bar, figures);
    fflush(stderr);
    p->shown = true;
}

void progress_tick(struct progress *p, uint64_t now_us, uint64_t fetched, uint64_t done,
                   uint64_t total)
{
    char a[16], b[16], c[16], left[16] = "-:--", figures[96];

    if (now_us < p->next_us)
        return;
    rate_update(p, now_us, fetched);
    p->next_us = now_us + (p->terminal ? BAR_EVERY_US : LINE_EVERY_US);
    unsigned percent = total ? (unsigned)((double)done * 100 / (double)total) : 0;
    if (percent > 100)
        percent = 100;
    if (p->rate >= 1 && total >= done)
        progress_time((uint64_t)((double)(total - done) / p->rate), left);
    snprintf(figures, sizeof(figures), "%s of %s, %s/s, %s left", progress_size(done, a),
             progress_size(total, b), progress_size((uint64_t)p->rate, c), left);
    if (p->terminal)
        bar_draw(p, percent, figures);
    else
        fprintf(stderr, "%3u%%  %s\n", percent, figures);
}

void progress_clear(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}
