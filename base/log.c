#include "base/log.h"
#include "base/utf8.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

static _Atomic int most_level = LOG_AT_INFO;
static _Atomic bool use_syslog;

void log_set_level(enum log_level most)
{
    atomic_store_explicit(&most_level, (int)most, memory_order_relaxed);
}

bool log_wants(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&most_level, memory_order_relaxed);
}

void log_to_stderr(void)
{
    atomic_store(&use_syslog, false);
}

void log_to_syslog(const char *ident)
{
    openlog(ident, LOG_PID, LOG_DAEMON);
    atomic_store(&use_syslog, true);
}

/* What came from outside may hold anything: keep a fact on one line and the terminal unharmed. */
static size_t line_clean(char *out, size_t cap, const char *in)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;

    while (*in && n + 5 < cap) {
        size_t plain = utf8_plain(in);
        unsigned char c = (unsigned char)*in;
        if (plain) {
            memcpy(out + n, in, plain);
            n += plain;
            in += plain;
        } else {
            out[n++] = '\\';
            out[n++] = 'x';
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
            in++;
        }
    }
    out[n] = '\0';
    return n;
}

void log_write(enum log_level level, const char *tag, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
    static const int priorities[] = {3, 4, 6, 7, 7}; /* syslog(3): LOG_ERR … LOG_AT_DEBUG */
    char raw[LINE_MAX_BYTES], clean[LINE_MAX_BYTES], line[LINE_MAX_BYTES + 64];
    va_list ap;

    if (!log_wants(level))
        return;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof(raw), fmt, ap);
    va_end(ap);
    line_clean(clean, sizeof(clean), raw);

    if (atomic_load(&use_syslog)) {
        syslog(priorities[level], "%s: %s", tag, clean);
        return;
    }
    int n = snprintf(line, sizeof(line), "nzbfs: %s: %s: %s\n", names[level], tag, clean);
    if (n < 0)
        return;
    size_t len = (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
    line[len - 1] = '\n';
    /* One write, so that lines of several threads do not mix; nothing to be done if it fails. */
    if (write(STDERR_FILENO, line, len) < 0)
        return;
}

uint64_t log_gate_pass(struct log_gate *g, uint64_t now_us, uint64_t period_us)
{
    atomic_fetch_add(&g->count, 1);
    uint64_t next = atomic_load(&g->next_us);

    if (now_us < next || !atomic_compare_exchange_strong(&g->next_us, &next, now_us + period_us))
        return 0;
    return atomic_exchange(&g->count, 0);
}
