#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "domain/core/index_place.h"
#include "domain/inside/index_cache.h"
#include "layer_fixture.h"
#include "store_fixture.h"
#include "util/fdio.h"

/* Indexes of layers that nobody can look into: the smallest there are. */
static struct digest
make(struct fixture *f, unsigned number)
{
    char text[20];
    struct layer_info info = {.remark = "made for a test"};

    snprintf(text, sizeof text, "layer %u", number);
    info.layer = fixture_digest(text);
    OK(f, index_store_refuse(index_place(&f->reg), &info, &f->err));
    return info.layer;
}

static int
open_files(void)
{
    int n = 0;

    for (int fd = 0; fd < 200; fd++)
        n += lseek(fd, 0, SEEK_CUR) >= 0;
    return n;
}

static struct layer_index *
take(struct fixture *f, struct index_cache *c, const struct digest *d)
{
    struct layer_index *x;

    assert_int_equal(index_cache_take(c, index_place(&f->reg), d, &x, &f->err), 1);
    assert_true(digest_equal(&layer_index_info(x)->layer, d));
    return x;
}

static void
one_that_is_open_is_taken_again(void **state)
{
    struct fixture *f = *state;
    struct index_cache *c = index_cache_new(2);
    struct digest d = make(f, 1);
    struct layer_index *x = take(f, c, &d), *y = take(f, c, &d);

    assert_ptr_equal(x, y);
    index_cache_leave(c, x);
    index_cache_leave(c, y);
    OK(f, index_file_remove(f->reg.dirfd, &d, &f->err)); /* it can't have changed */
    assert_ptr_equal(take(f, c, &d), x);
    index_cache_leave(c, x);
    index_cache_free(c);
}

static void
so_many_stay_open(void **state)
{
    struct fixture *f = *state;
    struct index_cache *c = index_cache_new(3);
    struct layer_index *x[20];
    struct digest d[20];
    int before = open_files();

    for (unsigned i = 0; i < 20; i++) {
        d[i] = make(f, i);
        x[i] = take(f, c, &d[i]);
    }
    assert_int_equal(open_files(), before + 20); /* all are in use */
    for (unsigned i = 0; i < 20; i++)
        index_cache_leave(c, x[i]);
    assert_int_equal(open_files(), before + 3);
    for (unsigned i = 0; i < 20; i++)
        index_cache_leave(c, take(f, c, &d[i]));
    assert_int_equal(open_files(), before + 3);
    for (unsigned i = 17; i < 20; i++) /* those used last */
        OK(f, index_file_remove(f->reg.dirfd, &d[i], &f->err));
    for (unsigned i = 17; i < 20; i++)
        index_cache_leave(c, take(f, c, &d[i]));
    index_cache_free(c);
    assert_int_equal(open_files(), before);
}

static void
what_is_forgotten_is_opened_anew(void **state)
{
    struct fixture *f = *state;
    struct index_cache *c = index_cache_new(2);
    struct digest d = make(f, 1);
    struct layer_index *used = take(f, c, &d), *other;
    int before;

    index_cache_forget(c, &d);
    before = open_files();
    other = take(f, c, &d);
    assert_ptr_not_equal(other, used);
    assert_int_equal(open_files(), before + 1);
    index_cache_leave(c, used); /* nobody else gets it */
    assert_int_equal(open_files(), before);
    index_cache_leave(c, other);
    OK(f, index_file_remove(f->reg.dirfd, &d, &f->err));
    index_cache_forget(c, &d);
    assert_int_equal(open_files(), before - 1);
    assert_int_equal(index_cache_take(c, index_place(&f->reg), &d, &other, &f->err), 0);
    index_cache_free(c);
}

static void
without_a_cache_nothing_stays(void **state)
{
    struct fixture *f = *state;
    struct digest d = make(f, 1);
    int before = open_files();
    struct layer_index *x = take(f, NULL, &d);

    index_cache_forget(NULL, &d);
    assert_int_equal(open_files(), before + 1);
    index_cache_leave(NULL, x);
    assert_int_equal(open_files(), before);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_files, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(one_that_is_open_is_taken_again),
        TEST(so_many_stay_open),
        TEST(what_is_forgotten_is_opened_anew),
        TEST(without_a_cache_nothing_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
