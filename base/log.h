/**
 * log — one line per fact, for the person who runs nzbfs.
 *
 * Levels    error: a person must act. warn: we degraded and carry on. info: lifecycle (mounted,
 *           provider up, provider down). debug: one line per job. trace: one per packet; compiled
 *           out unless LOG_AT_TRACE is defined.
 * Form      subject first, then what, then what we do about it. Never a secret. Control characters
 *           in what came from outside are shown as \xNN, so one fact is always one line.
 * Threads   Any. A line is written whole.
 * Use       #define LOG_TAG "nntp.conn" before any include of this file.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_AT_ERROR, LOG_AT_WARN, LOG_AT_INFO, LOG_AT_DEBUG, LOG_AT_TRACE };

/** Lines above `most` are dropped. The start is LOG_AT_INFO. */
void log_set_level(enum log_level most);
bool log_wants(enum log_level level);

/** Where lines go: standard error (the start) or syslog's "daemon", for a mount that has left its
 *  terminal. */
void log_to_stderr(void);
void log_to_syslog(const char *ident);

void log_write(enum log_level level, const char *tag, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef LOG_TAG
#    define log_error(...) log_write(LOG_AT_ERROR, LOG_TAG, __VA_ARGS__)
#    define log_warn(...)  log_write(LOG_AT_WARN, LOG_TAG, __VA_ARGS__)
#    define log_info(...)  log_write(LOG_AT_INFO, LOG_TAG, __VA_ARGS__)
#    define log_debug(...)                                                                         \
        do {                                                                                       \
            if (log_wants(LOG_AT_DEBUG))                                                           \
                log_write(LOG_AT_DEBUG, LOG_TAG, __VA_ARGS__);                                     \
        } while (0)
#endif

/** A failure that may repeat is one line a period, with a count: returns how many times it has
 *  happened when a line is due now, else 0. Zeroed is ready. */
struct log_gate {
    _Atomic uint64_t next_us;
    _Atomic uint64_t count;
};

uint64_t log_gate_pass(struct log_gate *g, uint64_t now_us, uint64_t period_us);

#endif
