/**
 * thread — how the program starts its threads.
 *
 * Stack     1 MiB each (more in a build for sanitizers), where the system would reserve 8 MiB of addresses: hardly
 *           anything here recurses or keeps large things on the stack, and an address space may be limited.
 * Signals   All are blocked in it: they are the main thread's, or of whoever waits for them.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

/** Run `run(arg)` on a thread of its own, to be joined or detached. 0 or -errno. */
int thread_start(pthread_t *thread, void *(*run)(void *), void *arg);

#endif
