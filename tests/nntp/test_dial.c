/* Addresses tried in turn, and names looked up off the loop. */
#include "nntp/dial.h"

#include <check.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A listening socket on loopback; *port is its port. */
static int listener(int backlog, unsigned *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    ck_assert_int_eq(listen(fd, backlog), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static unsigned dead_port(void)
{
    unsigned port;
    close(listener(1, &port));
    return port;
}

static void addr_add(struct nntp_addrs *addrs, unsigned port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                            .sin_port = htons((uint16_t)port)};
    struct nntp_addr *at = &addrs->a[addrs->n++];
    memcpy(&at->sa, &a, sizeof(a));
    at->len = sizeof(a);
}

/* Dial to the end as conn.c does: look when the socket says something. */
static int dial(struct nntp_dial *d, const struct nntp_addrs *addrs, uint64_t now, uint64_t end)
{
    int r = nntp_dial_start(d, addrs, now, end);
    if (r)
        return r;
    do {
        struct pollfd p = {.fd = d->fd, .events = POLLOUT};
        ck_assert_int_eq(poll(&p, 1, 5000), 1);
        r = nntp_dial_check(d, now);
    } while (r == -EINPROGRESS);
    return r;
}

START_TEST(the_first_address_that_accepts_is_taken)
{
    struct nntp_addrs addrs = {0};
    struct nntp_dial d;
    unsigned port;
    int fd = listener(8, &port);
    addr_add(&addrs, dead_port());
    addr_add(&addrs, dead_port());
    addr_add(&addrs, port);
    addr_add(&addrs, dead_port());
    ck_assert_int_eq(dial(&d, &addrs, 0, 1000000), 0);
    ck_assert_uint_eq(d.at, 2);
    nntp_dial_stop(&d);
    close(fd);
}
END_TEST

START_TEST(when_no_address_accepts_the_last_reason_is_told)
{
    struct nntp_addrs addrs = {0};
    struct nntp_dial d;
    addr_add(&addrs, dead_port());
    addr_add(&addrs, dead_port());
    ck_assert_int_eq(dial(&d, &addrs, 0, 1000000), -ECONNREFUSED);
    ck_assert_int_eq(d.fd, -1);
}
END_TEST

START_TEST(no_time_and_no_address_are_an_end_too)
{
    struct nntp_addrs addrs = {0};
    struct nntp_dial d;
    ck_assert_int_eq(nntp_dial_start(&d, &addrs, 0, 1000), -ETIMEDOUT);
    addr_add(&addrs, dead_port());
    ck_assert_int_eq(nntp_dial_start(&d, &addrs, 1000, 1000), -ETIMEDOUT);
}
END_TEST

/* A backlog that is full drops what comes: nothing is answered. Time is an argument, so nothing waits. */
START_TEST(a_silent_address_gets_its_share_of_the_time_and_no_more)
{
    struct nntp_addrs addrs = {0};
    struct nntp_dial d, fill[3];
    struct nntp_addrs full = {0};
    unsigned silent, port;
    int jam = listener(0, &silent), fd = listener(8, &port);
    addr_add(&full, silent);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(nntp_dial_start(&fill[i], &full, 0, 1000), 0);

    addr_add(&addrs, silent);
    addr_add(&addrs, port);
    ck_assert_int_eq(nntp_dial_start(&d, &addrs, 0, 1000), 0);
    ck_assert_uint_eq(d.try_end_us, 500);
    ck_assert_int_eq(nntp_dial_check(&d, 499), -EINPROGRESS);
    ck_assert_uint_eq(d.at, 0);
    ck_assert_int_eq(nntp_dial_check(&d, 500), -EINPROGRESS);
    ck_assert_uint_eq(d.at, 1);
    ck_assert_uint_eq(d.try_end_us, 1000);
    struct pollfd p = {.fd = d.fd, .events = POLLOUT};
    ck_assert_int_eq(poll(&p, 1, 5000), 1);
    ck_assert_int_eq(nntp_dial_check(&d, 501), 0);
    nntp_dial_stop(&d);
    for (unsigned i = 0; i < 3; i++)
        nntp_dial_stop(&fill[i]);
    close(jam);
    close(fd);
}
END_TEST

/* --- names ------------------------------------------------------------------------------------------ */

static void no_tick(struct nntp_loop *l, uint64_t now_us)
{
    (void)l;
    (void)now_us;
}

struct question {
    struct nntp_task task;
    struct nntp_resolver *resolver;
    struct nntp_ask ask;
    bool forget;
    int first; /* what ask() returned */
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool over, called;
};

static void question_over(struct question *q, bool called)
{
    pthread_mutex_lock(&q->lock);
    q->called |= called;
    q->over = true;
    pthread_cond_signal(&q->answered);
    pthread_mutex_unlock(&q->lock);
}

static void on_answer(struct nntp_ask *ask)
{
    question_over(container_of(ask, struct question, ask), true);
}

static void on_ask(struct nntp_task *t)
{
    struct question *q = container_of(t, struct question, task);
    q->first = nntp_resolver_ask(q->resolver, &q->ask);
    if (q->forget)
        nntp_resolver_forget(q->resolver, &q->ask);
    if (q->forget || q->first != -EINPROGRESS)
        question_over(q, false);
}

static void question_put(struct question *q, struct nntp_loop *l, struct nntp_resolver *r,
                         const char *host)
{
    bool forget = q->forget;

    memset(q, 0, sizeof(*q));
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->answered, NULL);
    q->task.run = on_ask;
    q->resolver = r;
    q->forget = forget;
    q->ask.loop = l;
    q->ask.host = host;
    q->ask.port = 119;
    q->ask.done = on_answer;
    nntp_loop_post(l, &q->task);
}

static void question_wait(struct question *q)
{
    pthread_mutex_lock(&q->lock);
    while (!q->over)
        pthread_cond_wait(&q->answered, &q->lock);
    pthread_mutex_unlock(&q->lock);
}

static void question(struct question *q, struct nntp_loop *l, struct nntp_resolver *r,
                     const char *host, bool forget)
{
    q->forget = forget;
    question_put(q, l, r, host);
    question_wait(q);
}

START_TEST(literals_are_answered_at_once_and_names_later_once_and_then_at_once)
{
    static struct question q;
    struct nntp_resolver *r;
    struct nntp_loop l;
    ck_assert_int_eq(nntp_loop_start(&l, 0, no_tick), 0);
    ck_assert_int_eq(nntp_resolver_start(&r), 0);

    question(&q, &l, r, "127.0.0.1", false);
    ck_assert_int_eq(q.first, 0);
    ck_assert_uint_eq(q.ask.addrs.n, 1);
    question(&q, &l, r, "::1", false);
    ck_assert_int_eq(q.first, 0);
    ck_assert_int_eq(q.ask.addrs.a[0].sa.ss_family, AF_INET6);

    question(&q, &l, r, "localhost", false);
    ck_assert_int_eq(q.first, -EINPROGRESS);
    ck_assert(q.called);
    ck_assert_ptr_null(q.ask.error);
    ck_assert_uint_ge(q.ask.addrs.n, 1);
    question(&q, &l, r, "localhost", false);
    ck_assert_int_eq(q.first, 0);
    ck_assert_uint_ge(q.ask.addrs.n, 1);

    nntp_resolver_stop(r);
    nntp_loop_stop(&l);
}
END_TEST

START_TEST(a_name_that_does_not_exist_is_an_error_and_is_asked_for_again)
{
    static struct question q;
    struct nntp_resolver *r;
    struct nntp_loop l;
    ck_assert_int_eq(nntp_loop_start(&l, 0, no_tick), 0);
    ck_assert_int_eq(nntp_resolver_start(&r), 0);
    for (unsigned i = 0; i < 2; i++) {
        question(&q, &l, r, "no-such-host.invalid", false);
        ck_assert_int_eq(q.first, -EINPROGRESS);
        ck_assert_ptr_nonnull(q.ask.error);
    }
    nntp_resolver_stop(r);
    nntp_loop_stop(&l);
}
END_TEST

START_TEST(a_question_that_was_forgotten_is_not_answered)
{
    static struct question q, again;
    struct nntp_resolver *r;
    struct nntp_loop l;
    ck_assert_int_eq(nntp_loop_start(&l, 0, no_tick), 0);
    ck_assert_int_eq(nntp_resolver_start(&r), 0);
    question(&q, &l, r, "localhost", true);
    question(&again, &l, r, "localhost", false); /* by now the lookup has ended */
    nntp_resolver_stop(r);
    nntp_loop_stop(&l);
    ck_assert(!q.called);
}
END_TEST

/* --- names whose servers misbehave ------------------------------------------------------------------ */

/* Stands before the system's: "slow.test" is not answered until it is let go of, "shaky.test" has an address
 * until it has not. */
static sem_t slow_begun, slow_go;
static atomic_bool shaky_fails;

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict list)
{
    int (*system)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    void *at = dlsym(RTLD_NEXT, "getaddrinfo");

    memcpy(&system, &at, sizeof(at));
    if (strcmp(node, "slow.test") == 0) {
        sem_post(&slow_begun);
        sem_wait(&slow_go);
        return EAI_AGAIN;
    }
    if (strcmp(node, "shaky.test") != 0)
        return system(node, service, hints, list);
    return atomic_load(&shaky_fails) ? EAI_AGAIN : system("127.0.0.9", service, hints, list);
}

START_TEST(a_name_whose_servers_are_silent_keeps_no_other_waiting)
{
    static struct question slow, q;
    struct nntp_resolver *r;
    struct nntp_loop l;
    ck_assert_int_eq(sem_init(&slow_begun, 0, 0), 0);
    ck_assert_int_eq(sem_init(&slow_go, 0, 0), 0);
    ck_assert_int_eq(nntp_loop_start(&l, 0, no_tick), 0);
    ck_assert_int_eq(nntp_resolver_start(&r), 0);
    question_put(&slow, &l, r, "slow.test");
    sem_wait(&slow_begun);
    question(&q, &l, r, "localhost", false);
    ck_assert(q.called && !q.ask.error);
    ck_assert(!slow.called);
    sem_post(&slow_go);
    question_wait(&slow);
    ck_assert(slow.called && slow.ask.error);
    nntp_resolver_stop(r);
    nntp_loop_stop(&l);
}
END_TEST

START_TEST(a_lookup_that_never_ends_does_not_keep_the_resolver_from_stopping)
{
    static struct question slow;
    struct nntp_resolver *r;
    struct nntp_loop l;
    ck_assert_int_eq(sem_init(&slow_begun, 0, 0), 0);
    ck_assert_int_eq(sem_init(&slow_go, 0, 0), 0);
    ck_assert_int_eq(nntp_loop_start(&l, 0, no_tick), 0);
    ck_assert_int_eq(nntp_resolver_start(&r), 0);
    question(&slow, &l, r, "slow.test", true);
    sem_wait(&slow_begun);
    nntp_resolver_stop(r);
    sem_post(&slow_go);
    nntp_loop_stop(&l);
    ck_assert(!slow.called);
}
END_TEST

START_TEST(while_no_name_server_answers_the_addresses_of_before_are_used)
{
    static struct question q;
    struct nntp_resolver *r;
    struct nntp_loop l;
    ck_assert_int_eq(nntp_loop_start(&l, 0, no_tick), 0);
    ck_assert_int_eq(nntp_resolver_start(&r), 0);
    atomic_store(&shaky_fails, true);
    question(&q, &l, r, "shaky.test", false);
    ck_assert(q.called && q.ask.error);
    atomic_store(&shaky_fails, false);
    question(&q, &l, r, "shaky.test", false);
    ck_assert(q.called && !q.ask.error);
    atomic_store(&shaky_fails, true);
    nntp_resolver_expire(r);
    question(&q, &l, r, "shaky.test", false);
    ck_assert_int_eq(q.first, -EINPROGRESS);
    ck_assert(q.called && !q.ask.error);
    ck_assert_uint_eq(q.ask.addrs.n, 1);
    ck_assert_uint_eq(ntohs(((struct sockaddr_in *)(void *)&q.ask.addrs.a[0].sa)->sin_port), 119);
    nntp_resolver_stop(r);
    nntp_loop_stop(&l);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("nntp/dial");
    TCase *t = tcase_create("dial");
    tcase_add_test(t, the_first_address_that_accepts_is_taken);
    tcase_add_test(t, when_no_address_accepts_the_last_reason_is_told);
    tcase_add_test(t, no_time_and_no_address_are_an_end_too);
    tcase_add_test(t, a_silent_address_gets_its_share_of_the_time_and_no_more);
    suite_add_tcase(s, t);
    t = tcase_create("resolve");
    tcase_add_test(t, literals_are_answered_at_once_and_names_later_once_and_then_at_once);
    tcase_add_test(t, a_name_that_does_not_exist_is_an_error_and_is_asked_for_again);
    tcase_add_test(t, a_question_that_was_forgotten_is_not_answered);
    tcase_add_test(t, a_name_whose_servers_are_silent_keeps_no_other_waiting);
    tcase_add_test(t, a_lookup_that_never_ends_does_not_keep_the_resolver_from_stopping);
    tcase_add_test(t, while_no_name_server_answers_the_addresses_of_before_are_used);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *sr = srunner_create(suite());
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
