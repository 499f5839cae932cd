#include "base/list.h"

#include <check.h>

struct item {
    int n;
    struct list link;
};

/* The numbers on the list, as digits of one number: 123. */
static int digits(struct list *head)
{
    int n = 0;

    for (struct list *l = head->next; l != head; l = l->next) {
        ck_assert_ptr_eq(l->next->prev, l);
        ck_assert_ptr_eq(l->prev->next, l);
        n = n * 10 + container_of(l, struct item, link)->n;
    }
    return n;
}

static struct item items[6];

static void make(struct list *head, int from, int to)
{
    list_init(head);
    for (int i = from; i <= to; i++) {
        items[i].n = i;
        list_init(&items[i].link);
        list_add_tail(head, &items[i].link);
    }
}

START_TEST(front_and_back_keep_the_order)
{
    struct list head;
    struct item nine = {.n = 9};

    make(&head, 1, 3);
    list_add(&head, &nine.link);
    ck_assert_int_eq(digits(&head), 9123);
    list_del(&items[2].link);
    list_del(&items[2].link); /* may be repeated */
    ck_assert(list_is_empty(&items[2].link));
    ck_assert_int_eq(digits(&head), 913);
}
END_TEST

START_TEST(pop_takes_the_first_until_there_is_none)
{
    struct list head;

    make(&head, 1, 2);
    ck_assert_ptr_eq(list_pop(&head), &items[1].link);
    ck_assert_ptr_eq(list_pop(&head), &items[2].link);
    ck_assert_ptr_null(list_pop(&head));
    ck_assert(list_is_empty(&head));
}
END_TEST

START_TEST(splice_moves_all_to_the_back_and_leaves_nothing)
{
    struct list a, b;

    make(&a, 1, 2);
    make(&b, 3, 5);
    list_splice(&a, &b);
    ck_assert_int_eq(digits(&a), 12345);
    ck_assert(list_is_empty(&b));
    list_splice(&a, &b);
    ck_assert_int_eq(digits(&a), 12345);
    list_splice(&b, &a);
    ck_assert_int_eq(digits(&b), 12345);
    ck_assert(list_is_empty(&a));
}
END_TEST

START_TEST(the_current_one_may_go_in_a_safe_walk)
{
    struct list head;

    make(&head, 1, 5);
    list_for_each_safe(l, &head)
    {
        if (container_of(l, struct item, link)->n % 2)
            list_del(l);
    }
    ck_assert_int_eq(digits(&head), 24);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/list");
    TCase *t = tcase_create("list");
    SRunner *r = srunner_create(s);

    suite_add_tcase(s, t);
    tcase_add_test(t, front_and_back_keep_the_order);
    tcase_add_test(t, pop_takes_the_first_until_there_is_none);
    tcase_add_test(t, splice_moves_all_to_the_back_and_leaves_nothing);
    tcase_add_test(t, the_current_one_may_go_in_a_safe_walk);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
