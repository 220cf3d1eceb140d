#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "storage/layers/layer_path.h"

static void
paths_are_cleaned(void **state)
{
    static const struct {
        const char *path, *clean;
        unsigned depth;
    } cases[] = {
        {"", "", 0},
        {"/", "", 0},
        {".", "", 0},
        {"./", "", 0},
        {"a", "a", 1},
        {"/a/", "a", 1},
        {"./a//b/.", "a/b", 2},
        {"..", "", 0},
        {"../../a", "a", 1},
        {"a/..", "", 0},
        {"a/../b", "b", 1},
        {"a/b/../../c/d", "c/d", 2},
        {"a/./../..", "", 0},
        {".../..a", ".../..a", 2},
        {"a/b/..", "a", 1},
    };
    static struct layer_path p;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(layer_path_clean(&p, bytes_str(cases[i].path)));
        assert_string_equal(p.text, cases[i].clean);
        assert_int_equal(p.n, strlen(cases[i].clean));
        assert_int_equal(p.depth, cases[i].depth);
    }
    assert_true(layer_path_clean(&p, bytes_str("usr/bin/sh")));
    assert_int_equal(layer_path_base(&p), 8);
    assert_true(layer_path_clean(&p, bytes_str("sh")));
    assert_int_equal(layer_path_base(&p), 0);
}

static void
too_long_ones_are_refused(void **state)
{
    static struct layer_path p;
    char text[LAYER_PATH_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 200 == 199 ? '/' : 'x';
    assert_true(layer_path_clean(&p, bytes_of(text, LAYER_PATH_MAX)));
    assert_false(layer_path_clean(&p, bytes_of(text, LAYER_PATH_MAX + 1)));
    memset(text, 'y', sizeof text);
    assert_true(layer_path_clean(&p, bytes_of(text, LAYER_NAME_MAX)));
    assert_false(layer_path_clean(&p, bytes_of(text, LAYER_NAME_MAX + 1)));
}

static void
a_walk_takes_links_in_between(void **state)
{
    struct layer_path_walk w;
    struct bytes name;
    char seen[100] = "";

    (void)state;
    layer_path_begin(&w, bytes_str("/a/link/b"));
    while (layer_path_step(&w, &name)) {
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), "%.*s,", (int)name.n,
                 (const char *)name.p);
        if (bytes_equal(name, bytes_str("link")))
            assert_true(layer_path_follow(&w, bytes_str("../x/./y/")));
    }
    assert_string_equal(seen, "a,link,..,x,y,b,");
    layer_path_begin(&w, bytes_str("a"));
    for (int i = 0; i < LAYER_PATH_LINKS_MAX; i++)
        assert_true(layer_path_follow(&w, bytes_str("b")));
    assert_false(layer_path_follow(&w, bytes_str("b")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_cleaned),
        cmocka_unit_test(too_long_ones_are_refused),
        cmocka_unit_test(a_walk_takes_links_in_between),
    };
    return cmocka_run_group_tests_name("layer_path", tests, NULL, NULL);
}
