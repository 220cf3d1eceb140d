/* Names in an image, by patterns, a page at a time. */
#include "layer_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "domain/inside/layer_find.h"
#include "domain/inside/layer_hits.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, layers_begin, layers_end)

static int
show(void *arg, struct bytes path, const struct layer_merge_node *node, struct err *err)
{
    (void)node;
    (void)err;
    buf_put(arg, path.p, path.n);
    buf_putc(arg, ' ');
    return 0;
}

static const char *
found(struct layers *l, const char *pattern, const char *after, size_t n)
{
    struct buf last;
    struct layer_find_page page = {.after = bytes_str(after),
                                   .n = n,
                                   .until = UINT64_MAX,
                                   .fn = show,
                                   .arg = &l->text,
                                   .last = &last};
    struct layer_pattern p;
    int rc;

    buf_reset(&l->text);
    buf_init(&last, 1000);
    rc = layer_find_pattern(&p, bytes_str(pattern), &l->err);
    if (rc == 0)
        rc = layer_find(&l->merge, &p, &page, &l->err);
    buf_free(&last);
    if (rc != 0)
        return l->err.message;
    buf_puts(&l->text, page.more ? "..." : ".");
    return buf_text(&l->text);
}

#define FOUND(l, pattern, text) assert_string_equal(found(l, pattern, "", 1000), text)

static void
image(struct layers *l)
{
    layers_add(l, "d etc", "f etc/a.conf 1", "f etc/b.conf 2", "f usr/lib/x.so 3", "l lib usr/lib",
               "f usr/share/lib/lib 4", "h n nothing", NULL);
    layers_add(l, "f etc/.wh.b.conf ", "f etc/new/.a.conf 5", NULL);
}

static void
without_a_slash_it_is_the_last_name(void **state)
{
    struct layers *l = *state;

    image(l);
    FOUND(l, "*.conf", "etc/a.conf etc/new/.a.conf .");
    FOUND(l, "lib", "lib usr/lib usr/share/lib usr/share/lib/lib .");
    FOUND(l, "lib/", "usr/lib usr/share/lib .");
    FOUND(l, "b.conf", ".");
    FOUND(l, "n", "n .");
    FOUND(l, "*",
          "etc etc/a.conf etc/new etc/new/.a.conf lib n usr usr/lib usr/lib/x.so usr/share "
          "usr/share/lib usr/share/lib/lib .");
}

static void
with_a_slash_it_is_the_path(void **state)
{
    struct layers *l = *state;

    image(l);
    FOUND(l, "/etc/*.conf", "etc/a.conf .");
    FOUND(l, "etc/*.conf", "etc/a.conf .");
    FOUND(l, "/lib", "lib .");
    FOUND(l, "/*/*/", "etc/new usr/lib usr/share .");
    FOUND(l, "/**/lib", "lib usr/lib usr/share/lib usr/share/lib/lib .");
    FOUND(l, "/usr/**", "usr/lib usr/lib/x.so usr/share usr/share/lib usr/share/lib/lib .");
}

/* A text that each match must have saves the pattern for most names, and changes no answer. */
static void
the_part_of_a_pattern_changes_nothing(void **state)
{
    static const char in_pattern[] = "aab**?[]\\\\/-!", in_text[] = "aab[]\\*/";
    unsigned seed = 1, matches = 0;
    struct layer_pattern p;
    struct err err;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        char pattern[8], text[8];
        size_t n = 1 + (seed = seed * 1103515245u + 12345u) / 65536 % 7, m;
        bool expected;

        for (size_t k = 0; k < n; k++)
            pattern[k] =
                in_pattern[(seed = seed * 1103515245u + 12345u) / 65536 % (sizeof in_pattern - 1)];
        m = 1 + (seed = seed * 1103515245u + 12345u) / 65536 % 7;
        for (size_t k = 0; k < m; k++)
            text[k] = in_text[(seed = seed * 1103515245u + 12345u) / 65536 % (sizeof in_text - 1)];
        if (layer_find_pattern(&p, bytes_of(pattern, n), &err) != 0 || p.dirs)
            continue;
        expected = layer_find_fits(&p, bytes_of(text, m), LAYER_FILE);
        p.part_n = 0;
        assert_int_equal(layer_find_fits(&p, bytes_of(text, m), LAYER_FILE), expected);
        matches += expected;
    }
    assert_in_range(matches, 1000, 200000);
}

static void
pages_follow_each_other(void **state)
{
    struct layers *l = *state;

    image(l);
    assert_string_equal(found(l, "lib", "", 2), "lib usr/lib ...");
    assert_string_equal(found(l, "lib", "usr/lib", 2), "usr/share/lib usr/share/lib/lib .");
    assert_string_equal(found(l, "lib", "usr/lib", 1), "usr/share/lib ...");
    assert_string_equal(found(l, "lib", "usr/share/lib/lib", 1), ".");
    assert_string_equal(found(l, "lib", "", 0), "...");
}

#define MANY 1000

/* Files d/0000 and so on. */
static void
add_many_files(struct layers *l)
{
    struct buf tar;
    char path[20];

    buf_init(&tar, (size_t)1 << 24);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "d/%04u", i);
        layers_put_file(&tar, path, "x", 1);
    }
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
}

/* When the time of each page is over at once, all pages together have everything. */
static void
a_page_ends_when_its_time_is_over(void **state)
{
    struct layers *l = *state;
    struct layer_pattern p;
    struct buf last;
    struct layer_find_page page = {.n = MANY, .fn = show, .arg = &l->text, .last = &last};
    char after[30] = "";
    unsigned pages = 0;

    add_many_files(l);
    buf_init(&last, 1000);
    assert_int_equal(layer_find_pattern(&p, bytes_str("**/*7"), &l->err), 0);
    do {
        page.after = bytes_str(after);
        assert_int_equal(layer_find(&l->merge, &p, &page, &l->err), 0);
        if (page.more)
            snprintf(after, sizeof after, "%s", buf_text(&last) + 1);
    } while (page.more && ++pages < MANY);
    assert_int_equal(pages, MANY / LAYER_FIND_LOOKS);
    assert_int_equal(l->text.n, MANY / 10 * strlen("d/0007 "));
    buf_free(&last);
}

static void
the_paths_of_a_layer_are_read_until_the_time_is_over(void **state)
{
    struct layers *l = *state;
    struct layer_pattern p;
    struct layer_hits hits;

    add_many_files(l);
    assert_int_equal(layer_find_pattern(&p, bytes_str("d/*"), &l->err), 0);
    assert_int_equal(
        layer_hits_find(l->index[0], &p, bytes_of("", 0), UINT64_MAX, &l->text, &hits, &l->err), 0);
    assert_true(hits.n == MANY && hits.entries > MANY && !hits.is_over);
    assert_int_equal(layer_hits_find(l->index[0], &p, bytes_of("", 0), 0, &l->text, &hits, &l->err),
                     0);
    assert_true(hits.n < LAYER_FIND_LOOKS && hits.entries == LAYER_FIND_LOOKS && hits.is_over);
}

static void
what_can_not_be_asked_for_is_refused(void **state)
{
    struct layers *l = *state;
    char pattern[300];

    image(l);
    FOUND(l, "", "the query has no pattern: add name=GLOB");
    assert_int_equal(l->err.code, ERR_BAD_REQUEST);
    FOUND(l, "/", ".");
    memset(pattern, 'a', sizeof pattern);
    pattern[sizeof pattern - 1] = '\0';
    FOUND(l, pattern, "the pattern is longer than 255 bytes");
    l->merge.steps = 5;
    FOUND(l, "*", "it takes too long to look through this image");
    assert_int_equal(l->err.code, ERR_NOT_BROWSABLE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_slash_it_is_the_last_name),
        TEST(with_a_slash_it_is_the_path),
        cmocka_unit_test(the_part_of_a_pattern_changes_nothing),
        TEST(pages_follow_each_other),
        TEST(a_page_ends_when_its_time_is_over),
        TEST(the_paths_of_a_layer_are_read_until_the_time_is_over),
        TEST(what_can_not_be_asked_for_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
