/**
 * daemon — leaving the terminal, without the parent's having gone before the mount answers.
 *
 *     parent                         child
 *     fork ────────────────────────▶ start everything; errors go to the terminal as ever
 *     read the pipe …                the mount answers
 *     one byte: exit 0   ◀────────── daemon_ready(): a byte; then no terminal, log to syslog
 *     end of file: the child is gone, exit with its status
 *
 * Threads   daemon_fork() before any thread exists; daemon_ready() from any.
 */
#ifndef CLI_DAEMON_H
#define CLI_DAEMON_H

/** Returns in the child only; the parent waits and exits. -errno where there is no child. */
int daemon_fork(void);

/** The child can serve: let the parent go. Without daemon_fork() nothing. */
void daemon_ready(void);

#endif
