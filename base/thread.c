#include "base/thread.h"

#include <signal.h>
#include <stddef.h>

/* What nests deepest is a line of JSON at jansson's limit: some 300 KiB, and several times that with a sanitizer's frames. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define STACK_SIZE ((size_t)8 << 20)
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define STACK_SIZE ((size_t)8 << 20)
#    endif
#endif
#ifndef STACK_SIZE
#    define STACK_SIZE ((size_t)1 << 20)
#endif

int thread_start(pthread_t *thread, void *(*run)(void *), void *arg)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int err = pthread_attr_init(&attr);

    if (err)
        return -err;
    err = pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (!err)
        err = pthread_create(thread, &attr, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return -err;
}
