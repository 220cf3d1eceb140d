/* Hidden files of a layer, in pages that end when their time is over. */
#include "layer_fixture.h"
#include <stdio.h>
#include <string.h>
#include "domain/inside/browse_hidden.h"
#include "domain/inside/layer_find.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, layers_begin, layers_end)

#define MANY 1000
#define PATH_BYTES 7 /* d/0000 and a space */

static int
show(void *arg, struct bytes path, const struct layer_merge_node *node, bool replaced,
     struct err *err)
{
    (void)node;
    (void)replaced;
    (void)err;
    buf_put(arg, path.p, path.n);
    buf_putc(arg, ' ');
    return 0;
}

static void
nothing_to_clear(void *arg)
{
    (void)arg;
}

/* Files d/0000 and so on, whose number % of is `rest`. */
static void
add_files(struct layers *l, unsigned of, unsigned rest)
{
    struct buf tar;
    char path[20];

    buf_init(&tar, (size_t)1 << 24);
    for (unsigned i = rest; i < MANY; i += of) {
        snprintf(path, sizeof path, "d/%04u", i);
        layers_put_file(&tar, path, "x", 1);
    }
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
}

/* All pages of what is hidden of the lowest layer, each until `until`; the number of pages. */
static unsigned
read_pages(struct layers *l, uint64_t until, size_t n)
{
    struct browse_image im = {.n = l->n,
                              .here = (bool[]){true, true},
                              .layers = (struct digest[LAYERS_MAX]){{.algo = DIGEST_SHA256}},
                              .indexes = l->top_first};
    struct buf last;
    struct browse_hidden h = {.layer = l->n - 1,
                              .n = n,
                              .until = until,
                              .fn = show,
                              .again = nothing_to_clear,
                              .arg = &l->text,
                              .last = &last};
    char after[30] = "";
    unsigned pages = 0;

    buf_reset(&l->text);
    buf_init(&last, 1000);
    do {
        h.after = bytes_str(after);
        im.first = 0;
        im.merge = l->merge;
        assert_int_equal(browse_hidden_list(&im, &h, &l->err), 0);
        if (!h.more)
            continue;
        assert_true(strcmp(buf_text(&last) + 1, after) > 0); /* each page gets on */
        snprintf(after, sizeof after, "%s", buf_text(&last) + 1);
    } while (pages++ < MANY && h.more);
    buf_free(&last);
    return pages;
}

/* Of 1000 files, 100 are replaced. */
static void
a_page_ends_when_its_time_is_over(void **state)
{
    struct layers *l = *state;

    add_files(l, 1, 0);
    add_files(l, 10, 7);
    assert_int_equal(read_pages(l, UINT64_MAX, MANY), 1);
    assert_int_equal(l->text.n, MANY / 10 * PATH_BYTES);
    assert_int_equal(read_pages(l, UINT64_MAX, 40), 3);
    assert_int_equal(l->text.n, MANY / 10 * PATH_BYTES);
    assert_in_range(read_pages(l, 0, MANY), MANY / LAYER_FIND_LOOKS, 3 * MANY / LAYER_FIND_LOOKS);
    assert_int_equal(l->text.n, MANY / 10 * PATH_BYTES);
}

/* The files of the layers above are looked at, too, also between two of this one. */
static void
the_time_of_what_lies_between_counts(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f a x", "f d/0999 x", "f z x", NULL);
    add_files(l, 1, 0);
    assert_in_range(read_pages(l, 0, MANY), MANY / LAYER_FIND_LOOKS, 3 * MANY / LAYER_FIND_LOOKS);
    assert_string_equal(buf_text(&l->text), "d/0999 ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_page_ends_when_its_time_is_over),
        TEST(the_time_of_what_lies_between_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
