/* Walks of merged trees: all of it, in the order of bytes, from any place on. */
#include "layer_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "domain/inside/layer_walk.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, layers_begin, layers_end)

#define PATHS_MAX 4096

static char *paths[PATHS_MAX];
static size_t paths_n;

/* The order that is being tested. */
static enum layer_walk_order order;

/* Of one byte; in the order of the tree the slash is the smallest. */
static int
weight(char c)
{
    return c == '/' && order == LAYER_WALK_TREE ? 1 : 2 * (unsigned char)c;
}

static int
compare(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return weight(*a) - weight(*b);
}

static int
by_order(const void *a, const void *b)
{
    return compare(*(char *const *)a, *(char *const *)b);
}

static void
forget_paths(void)
{
    while (paths_n > 0)
        free(paths[--paths_n]);
}

/* All paths of the tree, as a plain recursion has them, sorted. */
static void
take_paths(struct layers *l)
{
    char *copy = strdup(layers_tree(l)), *rest = copy, *line;

    forget_paths();
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        assert_true(paths_n < PATHS_MAX);
        line += 2;
        paths[paths_n++] = strndup(line, strcspn(line, " "));
    }
    free(copy);
    qsort(paths, paths_n, sizeof *paths, by_order);
}

static void
expect_walk(struct layers *l, const char *after)
{
    struct layer_merge_node root, node, found;
    struct layer_walk *w;
    struct bytes path;
    size_t at = 0;
    int rc;

    while (at < paths_n && compare(paths[at], after) <= 0)
        at++;
    if (layer_merge_find(&l->merge, &l->arena, bytes_of("", 0), true, &root, &l->err) != 1 ||
        (w = layer_walk_begin(&l->merge, &root, order, bytes_str(after), &l->err)) == NULL)
        fail_msg("walk: %s", l->err.message);
    while ((rc = layer_walk_next(w, &path, &node, &l->err)) > 0) {
        if (at == paths_n || !bytes_equal(path, bytes_str(paths[at])))
            fail_msg("after '%s': %.*s, not %s", after, (int)path.n, (const char *)path.p,
                     at < paths_n ? paths[at] : "the end");
        assert_int_equal(layer_merge_find(&l->merge, &l->arena, path, false, &found, &l->err), 1);
        assert_true(found.entry.type == node.entry.type && found.layer == node.layer &&
                    found.entry.data == node.entry.data && found.parts_n == node.parts_n &&
                    bytes_equal(found.entry.link, node.entry.link));
        at++;
    }
    if (rc != 0 || at != paths_n)
        fail_msg("after '%s' it ends before %s: %s", after, at < paths_n ? paths[at] : "the end",
                 l->err.message);
    layer_walk_end(w);
    arena_reset(&l->arena);
}

static void
names_that_go_on_below_the_slash_come_before_what_is_in_a_directory(void **state)
{
    static const char *const all[] = {"d",    "d!",     "d!/a", "d!/b", "d-",  "d--", "d--/y",
                                      "d-/x", "d-/x.y", "d.x",  "d/a",  "d/b", "d0",  "da"};
    struct layers *l = *state;

    layers_add(l, "f d/a 1", "f d-/x 1", "f d--/y 1", "f d.x 1", "f d0 1", "f da 1", "f d!/a 2",
               NULL);
    layers_add(l, "f d/b 1", "f d!/b 1", "f d-/x.y 1", NULL);
    take_paths(l);
    assert_int_equal(paths_n, sizeof all / sizeof *all);
    for (size_t i = 0; i < paths_n; i++)
        assert_string_equal(paths[i], all[i]);
    expect_walk(l, "");
    for (size_t i = 0; i < paths_n; i++)
        expect_walk(l, paths[i]);
}

static void
put_name(struct buf *out)
{
    static const char letters[] = "aab-.~!0\xff";

    for (int i = rand() % 3; i >= 0; i--)
        buf_putc(out, letters[(size_t)rand() % (sizeof letters - 1)]);
}

static void
put_path(struct buf *out, int depth)
{
    buf_reset(out);
    for (int i = rand() % depth; i >= 0; i--) {
        put_name(out);
        if (i > 0)
            buf_putc(out, '/');
    }
}

static void
add_random(struct layers *l, int lines)
{
    struct buf tar, path, line;

    buf_init(&tar, 1u << 20);
    buf_init(&path, 200);
    buf_init(&line, 300);
    for (; lines > 0; lines--) {
        put_path(&path, 5);
        buf_reset(&line);
        if (rand() % 8 == 0)
            buf_putf(&line, "l %s a/b", buf_text(&path));
        else if (rand() % 8 == 0)
            buf_putf(&line, "f %s/.wh..wh..opq", buf_text(&path));
        else
            buf_putf(&line, "%c %s", "fd"[rand() % 2], buf_text(&path));
        layers_put_line(&tar, buf_text(&line));
    }
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
    buf_free(&path);
    buf_free(&line);
}

static void
expect_random_walks(struct layers *l)
{
    struct buf after;

    srand(1);
    buf_init(&after, 200);
    for (int i = 0; i < 6; i++) {
        add_random(l, 60);
        take_paths(l);
        expect_walk(l, "");
        for (size_t k = 0; k < paths_n; k += 3)
            expect_walk(l, paths[k]);
        for (int k = 0; k < 100; k++) {
            put_path(&after, 6);
            expect_walk(l, buf_text(&after));
        }
        expect_walk(l, "a/b/");
        expect_walk(l, "a//b");
        expect_walk(l, "\xff\xff\xff\xff\xff");
    }
    assert_true(paths_n > 200);
    forget_paths();
    buf_free(&after);
}

static void
random_trees_are_walked_in_order_from_anywhere_on(void **state)
{
    order = LAYER_WALK_BYTES;
    expect_random_walks(*state);
}

static void
and_so_in_the_order_of_the_tree(void **state)
{
    order = LAYER_WALK_TREE;
    expect_random_walks(*state);
    order = LAYER_WALK_BYTES;
}

/* More lists than are kept open. */
static void
a_deep_tree_of_many_layers_is_walked(void **state)
{
    struct layers *l = *state;
    struct buf tar, path;
    char line[400];

    buf_init(&tar, 1u << 22);
    buf_init(&path, 300);
    for (int i = 0; i < LAYERS_MAX; i++) {
        buf_reset(&path);
        buf_reset(&tar);
        for (int depth = 0; depth < 60; depth++) {
            buf_puts(&path, "d/");
            snprintf(line, sizeof line, "f %sc%d x", buf_text(&path), i);
            layers_put_line(&tar, line);
            snprintf(line, sizeof line, "f %se%d x", buf_text(&path), i);
            layers_put_line(&tar, line);
        }
        layers_put_end(&tar);
        layers_add_bytes(l, buf_bytes(&tar));
    }
    take_paths(l);
    assert_int_equal(paths_n, 60 * (2 * LAYERS_MAX + 1));
    expect_walk(l, "");
    expect_walk(l, paths[paths_n / 2]);
    order = LAYER_WALK_TREE;
    take_paths(l);
    expect_walk(l, "");
    order = LAYER_WALK_BYTES;
    forget_paths();
    buf_free(&tar);
    buf_free(&path);
}

static void
a_name_that_is_longer_than_any_is_no_harm(void **state)
{
    struct layers *l = *state;
    char name[LAYER_NAME_MAX + 1], longer[2 * LAYER_NAME_MAX], line[300];

    memset(name, 'a', sizeof name);
    name[LAYER_NAME_MAX] = '\0';
    memset(longer, 'a', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    snprintf(line, sizeof line, "f %s/x 1", name);
    layers_add(l, line, "f b 1", NULL);
    take_paths(l);
    expect_walk(l, "");
    expect_walk(l, name);
    longer[LAYER_NAME_MAX] = '-';
    expect_walk(l, longer);
    longer[LAYER_NAME_MAX] = 'a';
    expect_walk(l, longer);
    forget_paths();
}

static void
a_walk_has_its_bound(void **state)
{
    struct layers *l = *state;
    struct layer_merge_node root, node;
    struct layer_walk *w;
    struct bytes path;
    int rc;

    layers_add(l, "f a 1", "f b 1", "f c/d 1", NULL);
    assert_int_equal(layer_merge_find(&l->merge, &l->arena, bytes_of("", 0), true, &root, &l->err),
                     1);
    l->merge.steps = 4;
    w = layer_walk_begin(&l->merge, &root, order, bytes_of("", 0), &l->err);
    assert_non_null(w);
    while ((rc = layer_walk_next(w, &path, &node, &l->err)) > 0)
        ;
    assert_int_equal(rc, -1);
    assert_int_equal(l->err.code, ERR_NOT_BROWSABLE);
    layer_walk_end(w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_that_go_on_below_the_slash_come_before_what_is_in_a_directory),
        TEST(random_trees_are_walked_in_order_from_anywhere_on),
        TEST(and_so_in_the_order_of_the_tree),
        TEST(a_deep_tree_of_many_layers_is_walked),
        TEST(a_name_that_is_longer_than_any_is_no_harm),
        TEST(a_walk_has_its_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
