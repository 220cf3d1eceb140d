/* Names in an image, by patterns, a page at a time. */
#include "layer_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "domain/inside/layer_find.h"

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
    struct layer_pattern p;
    bool more;

    buf_reset(&l->text);
    if (layer_find_pattern(&p, bytes_str(pattern), &l->err) != 0 ||
        layer_find(&l->merge, &p, bytes_str(after), n, show, &l->text, &more, &l->err) != 0)
        return l->err.message;
    buf_puts(&l->text, more ? "..." : ".");
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
        TEST(pages_follow_each_other),
        TEST(what_can_not_be_asked_for_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
