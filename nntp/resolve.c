#include "nntp/resolve.h"
#include "base/clock.h"
#include "base/thread.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* Ports are not looked up, so one entry serves every port of a host; they are set in the copies that
 * askers get. Entries stay until the end: there are as many as providers were ever configured. */
struct nntp_resolver_host {
    struct nntp_resolver *resolver;
    struct list link;
    struct list askers;
    struct nntp_addrs addrs; /* the last good answer */
    uint64_t good_until_us;  /* 0: not known */
    bool busy;               /* a thread looks it up */
    char name[];
};

struct nntp_resolver {
    pthread_mutex_t lock;
    /* under lock */
    struct list hosts;
    unsigned lookups; /* threads in getaddrinfo() or on their way out of it */
    bool stopped;     /* the last of them frees everything */
};

static void addr_set_port(struct nntp_addr *a, unsigned port)
{
    if (a->sa.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)(void *)&a->sa)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)(void *)&a->sa)->sin_port = htons((uint16_t)port);
}

static bool literal_parse(const char *host, struct nntp_addrs *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    *out = (struct nntp_addrs){.n = 1};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(&out->a[0].sa, &v4, sizeof(v4));
        out->a[0].len = sizeof(v4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(&out->a[0].sa, &v6, sizeof(v6));
        out->a[0].len = sizeof(v6);
        return true;
    }
    out->n = 0;
    return false;
}

static bool addr_is_same(const struct nntp_addr *a, const struct nntp_addr *b)
{
    struct nntp_addr x = *a, y = *b;

    addr_set_port(&x, 0);
    addr_set_port(&y, 0);
    return x.len == y.len && memcmp(&x.sa, &y.sa, x.len) == 0;
}

/* Move `good` to the front, the others keep their order. */
static void addrs_prefer(struct nntp_addrs *addrs, const struct nntp_addr *good)
{
    for (unsigned i = 1; i < addrs->n; i++) {
        if (!addr_is_same(&addrs->a[i], good))
            continue;
        struct nntp_addr first = addrs->a[i];
        memmove(&addrs->a[1], &addrs->a[0], i * sizeof(addrs->a[0]));
        addrs->a[0] = first;
        return;
    }
}

/* NULL: found. *passing: it may be known again soon. */
static const char *lookup(const char *host, struct nntp_addrs *out, bool *passing)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int r = getaddrinfo(host, NULL, &hints, &list);

    out->n = 0;
    *passing = r == EAI_AGAIN || r == EAI_SYSTEM || r == EAI_MEMORY;
    if (r)
        return r == EAI_SYSTEM ? "name lookup failed" : gai_strerror(r);
    for (struct addrinfo *ai = list; ai && out->n < NNTP_ADDRS_MOST; ai = ai->ai_next) {
        if (ai->ai_family != AF_INET && ai->ai_family != AF_INET6)
            continue;
        struct nntp_addr *a = &out->a[out->n++];
        *a = (struct nntp_addr){.len = ai->ai_addrlen};
        memcpy(&a->sa, ai->ai_addr, ai->ai_addrlen);
    }
    freeaddrinfo(list);
    return out->n ? NULL : "the name has no address";
}

static void ask_answer(struct nntp_ask *ask, const struct nntp_addrs *addrs)
{
    ask->addrs = *addrs;
    for (unsigned i = 0; i < ask->addrs.n; i++)
        addr_set_port(&ask->addrs.a[i], ask->port);
}

static void task_done(struct nntp_task *t)
{
    struct nntp_ask *ask = container_of(t, struct nntp_ask, task);
    ask->done(ask);
}

static void addrs_renew(struct nntp_resolver_host *h, const struct nntp_addrs *found)
{
    struct nntp_addr old = h->addrs.a[0];
    bool had = h->addrs.n > 0;

    h->addrs = *found;
    if (had)
        addrs_prefer(&h->addrs, &old);
    h->good_until_us = clock_now_us() + NNTP_RESOLVE_KEEP_US;
}

/* Lock held. Where the name servers are out of reach, the addresses of before are better than none. */
static void host_answered(struct nntp_resolver_host *h, const struct nntp_addrs *found,
                          const char *error, bool passing)
{
    struct list *e;

    if (!error)
        addrs_renew(h, found);
    else if (passing && h->addrs.n)
        error = NULL;
    while ((e = list_pop(&h->askers))) {
        struct nntp_ask *ask = container_of(e, struct nntp_ask, link);
        ask->error = error;
        if (!error)
            ask_answer(ask, &h->addrs);
        nntp_loop_post(ask->loop, &ask->task);
    }
}

static void resolver_free(struct nntp_resolver *r)
{
    struct list *e;

    while ((e = list_pop(&r->hosts)))
        free(container_of(e, struct nntp_resolver_host, link));
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void *lookup_main(void *arg)
{
    struct nntp_resolver_host *h = arg;
    struct nntp_resolver *r = h->resolver;
    struct nntp_addrs found;
    bool passing;

    pthread_setname_np(pthread_self(), "nzbfs-dns");
    const char *error = lookup(h->name, &found, &passing);
    pthread_mutex_lock(&r->lock);
    h->busy = false;
    bool last = --r->lookups == 0 && r->stopped;
    if (!r->stopped)
        host_answered(h, &found, error, passing);
    pthread_mutex_unlock(&r->lock);
    if (last)
        resolver_free(r);
    return NULL;
}

/* Lock held. */
static int lookup_start(struct nntp_resolver_host *h)
{
    pthread_t thread;
    int r = thread_start(&thread, lookup_main, h);

    if (r)
        return r;
    pthread_detach(thread);
    h->busy = true;
    h->resolver->lookups++;
    return 0;
}

int nntp_resolver_start(struct nntp_resolver **out)
{
    struct nntp_resolver *r = calloc(1, sizeof(*r));

    if (!r)
        return -ENOMEM;
    list_init(&r->hosts);
    pthread_mutex_init(&r->lock, NULL);
    *out = r;
    return 0;
}

/* getaddrinfo() cannot be interrupted and may take half a minute: the end of the mount does not wait for
 * it. */
void nntp_resolver_stop(struct nntp_resolver *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stopped = true;
    bool last = !r->lookups;
    pthread_mutex_unlock(&r->lock);
    if (last)
        resolver_free(r);
}

/* Lock held. */
static struct nntp_resolver_host *host_find(struct nntp_resolver *r, const char *name)
{
    list_for_each(e, &r->hosts)
    {
        struct nntp_resolver_host *h = container_of(e, struct nntp_resolver_host, link);
        if (strcmp(h->name, name) == 0)
            return h;
    }
    return NULL;
}

static struct nntp_resolver_host *host_add(struct nntp_resolver *r, const char *name)
{
    size_t n = strlen(name) + 1;
    struct nntp_resolver_host *h = calloc(1, sizeof(*h) + n);

    if (!h)
        return NULL;
    h->resolver = r;
    memcpy(h->name, name, n);
    list_init(&h->askers);
    list_add_tail(&r->hosts, &h->link);
    return h;
}

int nntp_resolver_ask(struct nntp_resolver *r, struct nntp_ask *ask)
{
    assert(nntp_loop_is_mine(ask->loop));
    int ret = 0;

    ask->error = NULL;
    ask->task = (struct nntp_task){.run = task_done};
    list_init(&ask->link);
    if (literal_parse(ask->host, &ask->addrs)) {
        addr_set_port(&ask->addrs.a[0], ask->port);
        return 0;
    }
    pthread_mutex_lock(&r->lock);
    struct nntp_resolver_host *h = host_find(r, ask->host);
    if (!h)
        h = host_add(r, ask->host);
    if (!h) {
        ret = -ENOMEM;
    } else if (h->good_until_us > clock_now_us()) {
        ask_answer(ask, &h->addrs);
    } else {
        ret = h->busy ? 0 : lookup_start(h);
        if (!ret) {
            ret = -EINPROGRESS;
            list_add_tail(&h->askers, &ask->link);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return ret;
}

void nntp_resolver_forget(struct nntp_resolver *r, struct nntp_ask *ask)
{
    assert(nntp_loop_is_mine(ask->loop));
    pthread_mutex_lock(&r->lock);
    list_del(&ask->link);
    pthread_mutex_unlock(&r->lock);
    nntp_loop_unpost(ask->loop, &ask->task);
}

void nntp_resolver_prefer(struct nntp_resolver *r, const char *host, const struct nntp_addr *good)
{
    pthread_mutex_lock(&r->lock);
    struct nntp_resolver_host *h = host_find(r, host);
    if (h)
        addrs_prefer(&h->addrs, good);
    pthread_mutex_unlock(&r->lock);
}

void nntp_resolver_expire(struct nntp_resolver *r)
{
    pthread_mutex_lock(&r->lock);
    list_for_each(e, &r->hosts) container_of(e, struct nntp_resolver_host, link)->good_until_us = 0;
    pthread_mutex_unlock(&r->lock);
}
