/* The files that a container sees of its layers: each row was tried with umoci, docker, containerd
 * and podman. */
#include "layer_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEST(name) cmocka_unit_test_setup_teardown(name, layers_begin, layers_end)

static void
an_upper_file_replaces_a_lower_one(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d etc/", "f etc/a one", "f etc/b two", NULL);
    TREE(l, "d etc\nf etc/a one\nf etc/b two\n");
    layers_add(l, "f ./etc/a three", NULL);
    TREE(l, "d etc\nf etc/a three\nf etc/b two\n");
}

static void
a_lower_links_name_becomes_a_directory(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d real", "f real/f 1", "l lib real", NULL);
    layers_add(l, "f lib/x 2", NULL);
    TREE(l, "D lib\nf lib/x 2\nd real\nf real/f 1\n");
}

static void
so_does_an_absolute_a_dangling_or_an_escaping_one(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d real", "l abs /real", "l gone nowhere", "l out ../../../tmp", NULL);
    layers_add(l, "f abs/x 1", "f gone/x 2", "f out/x 3", NULL);
    TREE(l, "D abs\nf abs/x 1\nD gone\nf gone/x 2\nD out\nf out/x 3\nd real\n");
}

static void
a_directory_replaces_a_lower_link(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d real", "f real/f 1", "l lib real", NULL);
    layers_add(l, "d lib", "f lib/x 2", NULL);
    TREE(l, "d lib\nf lib/x 2\nd real\nf real/f 1\n");
}

static void
a_link_of_the_same_layer_is_gone_through(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d real", "l lib real", "f lib/x 1", "l up ..", "f lib/up 2", "l deep/er /lib",
               "f deep/er/y 3", "l out ../../../../etc", "f out/z 4", "f lib/./../lib//w 5", NULL);
    TREE(l, "D deep\nl deep/er /lib\nD etc\nf etc/z 4\nl lib real\nl out ../../../../etc\n"
            "d real\nf real/up 2\nf real/w 5\nf real/x 1\nf real/y 3\nl up ..\n");
}

static void
links_in_a_circle_are_refused(void **state)
{
    struct layers *l = *state;
    struct layer_merge_node node;

    layers_add(l, "l a b", "l b a", "f a/x 1", "f c 2", NULL);
    TREE(l, "l a b\nl b a\nf c 2\n");
    assert_int_equal(l->info[0].skipped, 1);
    assert_int_equal(layer_merge_find(&l->merge, &l->arena, bytes_str("a/x"), true, &node, &l->err),
                     -1);
    assert_int_equal(l->err.code, ERR_NO_FILE);
    assert_int_equal(layer_merge_find(&l->merge, &l->arena, bytes_str("a"), true, &node, &l->err),
                     -1);
    assert_int_equal(layer_merge_find(&l->merge, &l->arena, bytes_str("a"), false, &node, &l->err),
                     1);
    assert_int_equal(node.entry.type, LAYER_SYMLINK);
}

static void
forty_links_are_followed_and_no_more(void **state)
{
    struct layers *l = *state;
    struct buf tar;
    char line[40];

    buf_init(&tar, 1u << 20);
    layers_put_line(&tar, "f l0 end");
    for (int i = 1; i <= 41; i++) {
        snprintf(line, sizeof line, "l l%d l%d", i, i - 1);
        layers_put_line(&tar, line);
    }
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
    assert_string_equal(layers_cat(l, "l40"), "end");
    assert_string_equal(layers_cat(l, "/l41"), "(too many symbolic links)");
}

static void
a_whiteout_does_not_reach_through_a_lower_link(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d real", "f real/f 1", "l lib real", NULL);
    layers_add(l, "f lib/.wh.f", NULL);
    TREE(l, "D lib\nd real\nf real/f 1\n");
}

static void
a_hard_link_takes_what_its_target_is_at_that_moment(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f f old", "h g f", "f f new", "h ./h /x/../g", NULL);
    TREE(l, "f f new\nf g old\nf h old\n");
}

static void
a_hard_link_keeps_the_old_content_when_its_target_is_replaced_above(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f f old", "h g f", NULL);
    layers_add(l, "f f new", NULL);
    TREE(l, "f f new\nf g old\n");
}

static void
a_hard_link_may_lead_to_a_lower_layer(void **state)
{
    struct layers *l = *state;
    struct layer_merge_node node;

    layers_add(l, "d d", "f d/f lower", "l lib d", NULL);
    layers_add(l, "f other 1", NULL);
    layers_add(l, "h g d/f", "h h lib/f", "h i g", NULL);
    TREE(l, "d d\nf d/f lower\nf g lower\nf h lower\nf i lower\nl lib d\nf other 1\n");
    assert_int_equal(layer_merge_find(&l->merge, &l->arena, bytes_str("g"), true, &node, &l->err),
                     1);
    assert_int_equal(node.layer, 2);
    assert_int_equal(node.entry.flags & LAYER_HARD_LINK, LAYER_HARD_LINK);
    assert_memory_equal(node.entry.link.p, "d/f", node.entry.link.n);
}

static void
a_chain_of_hard_links_goes_down_the_layers(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f a end", NULL);
    layers_add(l, "h b a", NULL);
    layers_add(l, "h c b", "f a other", NULL);
    layers_add(l, "h d c", NULL);
    TREE(l, "f a other\nf b end\nf c end\nf d end\n");
}

static void
a_hard_link_to_nothing_is_shown_and_cannot_be_read(void **state)
{
    struct layers *l = *state;

    layers_add(l, "h a nothing", "h b b", "h c ../../etc/passwd", "d d", "h e d", NULL);
    TREE(l, "x a\nx b\nx c\nd d\n");
    assert_string_equal(layers_cat(l, "a"), "(that is not a file)");
    assert_string_equal(layers_cat(l, "c"), "(that is not a file)");
    assert_int_equal(l->info[0].skipped, 1);
}

static void
a_hard_link_to_a_link_is_a_link_and_goes_through_a_linked_directory(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d d", "f d/f 1", "l s d/f", "h t s", "l lib d", "h u lib/f", NULL);
    layers_add(l, "h v s", NULL);
    TREE(l, "d d\nf d/f 1\nl lib d\nl s d/f\nl t d/f\nf u 1\nl v d/f\n");
}

static void
a_directory_replaces_a_file(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f x 1", "f y 2", NULL);
    layers_add(l, "d x", "f x/a 3", "f y/b 4", NULL);
    TREE(l, "d x\nf x/a 3\nD y\nf y/b 4\n");
}

static void
a_file_or_link_replaces_a_directory_with_all_in_it(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d x", "f x/a 1", "d y", "f y/b/c 2", "d z", NULL);
    layers_add(l, "f x 3", "l y z", NULL);
    TREE(l, "f x 3\nl y z\nd z\n");
    layers_add(l, "d x", NULL);
    TREE(l, "d x\nl y z\nd z\n");
}

static void
a_whiteout_and_an_entry_of_one_layer_in_any_order(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d x", "f x/old 1", "d y", "f y/old 2", NULL);
    layers_add(l, "f .wh.x", "f x new", "f y new", "f .wh.y", NULL);
    TREE(l, "f x new\nf y new\n");
}

/* As umoci writes it when a directory has become something else, or is gone: also what was in it is
 * gone. */
static void
whiteouts_below_what_is_no_directory_say_nothing(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f d/x 1", "f e/x 1", "f g/x 1", "f t/x 1", "f h/x 1", NULL);
    layers_add(l, "f d 2", "f d/.wh.x", "f e/.wh.x", "f e 2", "l g t", "f g/.wh.x",
               "f g/.wh..wh..opq", "l i nowhere", "f i/.wh.x", "f .wh.h", "f h/.wh.x", NULL);
    TREE(l, "f d 2\nf e 2\nl g t\nl i nowhere\nD t\nf t/x 1\n");
    layers_add(l, "f t/.wh.x", "f .wh.t", "f u/v/.wh.x", "f u/v/.wh..wh..opq", "f .wh.u", NULL);
    TREE(l, "f d 2\nf e 2\nl g t\nl i nowhere\n");
    layers_add(l, "f u/.wh.x", "f u/y 3", "f .wh.u", NULL);
    TREE(l, "f d 2\nf e 2\nl g t\nl i nowhere\nD u\nf u/y 3\n");
}

static void
a_whiteout_beside_its_directory_makes_that_opaque(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d d", "f d/old 1", NULL);
    layers_add(l, "f .wh.d", "d d", "f d/new 2", NULL);
    TREE(l, "d d\nf d/new 2\n");
}

static void
an_opaque_mark_hides_what_is_below_whatever_the_order(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d a", "f a/old 1", "d b", "f b/old 1", "d c", "f c/old 1", NULL);
    layers_add(l, "d a", "f a/.wh..wh..opq", "f a/new 2", "d b", "f b/new 2", "f b/.wh..wh..opq",
               "f c/.wh..wh..opq", "f c/new 2", NULL);
    TREE(l, "d a\nf a/new 2\nd b\nf b/new 2\nd c\nf c/new 2\n");
    assert_string_equal(layers_alone(l, 1), "d !a\nf a/new\nd !b\nf b/new\nD !c\nf c/new\n");
}

static void
an_opaque_root_hides_all(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f a 1", "d b", NULL);
    layers_add(l, "f .wh..wh..opq", "f c 2", NULL);
    TREE(l, "f c 2\n");
}

static void
a_whiteout_of_everything_leaves_nothing(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f a 1", "d b", "f b/c 2", NULL);
    layers_add(l, "f .wh.a", "f .wh.b", "f .wh.never", NULL);
    TREE(l, "");
    layers_add(l, "f b/d 3", NULL);
    TREE(l, "D b\nf b/d 3\n");
}

static void
a_name_twice_in_a_layer_is_the_last_one(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f x 1", "f x 2", "d x", "f x/a 3", "f x 4", "f x 5", "l y x", "f y 6", NULL);
    TREE(l, "f x 5\nf y 6\n");
}

static void
a_whiteout_that_is_a_directory_hides_and_its_contents_are_dropped(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f x 1", "f y 2", NULL);
    layers_add(l, "d .wh.x", "f .wh.x/inside 3", NULL);
    TREE(l, "f y 2\n");
}

static void
a_link_does_not_lead_into_a_whiteout(void **state)
{
    struct layers *l = *state;

    layers_add(l, "l a .wh.b", "f a/x 1", "l c d/.wh..wh..opq", "f c/y 2", "d e", "l f .wh..wh.g",
               "f f/z 3", "h h f/z", NULL);
    TREE(l, "l a .wh.b\nl c d/.wh..wh..opq\nD d\nd e\nl f .wh..wh.g\nf h 3\n");
    assert_int_equal(l->info[0].skipped, 2);
}

static void
names_are_cleaned_and_stay_inside(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f ../up 1", "f /abs 2", "f a/../b 3", "f ../../../etc/../etc/shadow 4", "d ./",
               "f ./c//d/./e 5", NULL);
    TREE(l, "f abs 2\nf b 3\nD c\nD c/d\nf c/d/e 5\nD etc\nf etc/shadow 4\nf up 1\n");
}

static void
odd_whiteouts_are_ignored(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f a 1", NULL);
    layers_add(l, "f .wh.", "f .wh..", "f .wh...", "f b 2", NULL);
    TREE(l, "f a 1\nf b 2\n");
}

static void
aufs_names_are_not_shown_but_hard_links_lead_to_them(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f .wh..wh.aufs", "d .wh..wh.plnk", "f .wh..wh.plnk/1.2 data",
               "h f .wh..wh.plnk/1.2", "d .wh..wh.orph", NULL);
    TREE(l, "f f data\n");
}

static void
a_parent_without_an_entry_has_the_lower_ones_mode(void **state)
{
    struct layers *l = *state;
    struct layer_merge_node node;
    struct buf tar;

    buf_init(&tar, 1u << 20);
    layers_put_header(&tar, '5', "d", 1, "", 0);
    memcpy(tar.p + 100, "0001750", 7);
    memcpy(tar.p + 148, "        ", 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)tar.p[i];
    snprintf(tar.p + 148, 8, "%06o", sum & 0777777);
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
    layers_add(l, "f d/x 1", "f e/y 2", NULL);
    assert_int_equal(layer_merge_find(&l->merge, &l->arena, bytes_str("d"), true, &node, &l->err),
                     1);
    assert_int_equal(node.entry.mode, 01750);
    assert_int_equal(node.layer, 1);
    assert_int_equal(layer_merge_find(&l->merge, &l->arena, bytes_str("e"), true, &node, &l->err),
                     1);
    assert_int_equal(node.entry.mode, 0755);
    assert_int_equal(node.entry.flags & LAYER_IMPLICIT, LAYER_IMPLICIT);
    assert_int_equal(node.layer, 0);
}

/* ---- looking up ---- */

static void
paths_follow_links_inside_the_merged_tree(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d usr/bin", "f usr/bin/sh shell", "l bin usr/bin", NULL);
    layers_add(l, "d usr/local", "l usr/local/b /bin", "l usr/local/up ../../../../../bin/./sh",
               "f usr/bin/new fresh", "l self .", "l root /", NULL);
    assert_string_equal(layers_cat(l, "bin/sh"), "shell");
    assert_string_equal(layers_cat(l, "/usr//local/b/new"), "fresh");
    assert_string_equal(layers_cat(l, "usr/local/up"), "shell");
    assert_string_equal(layers_cat(l, "self/self/root/self/usr/local/../bin/sh"), "shell");
    assert_string_equal(layers_cat(l, "../../usr/bin/sh"), "shell");
    assert_string_equal(layers_cat(l, "usr/bin/sh/x"), "(not there)");
    assert_string_equal(layers_cat(l, "usr/nothing"), "(not there)");
    assert_string_equal(layers_cat(l, "usr"), "(that is not a file)");
}

static void
the_root_and_where_links_lead_back_to_have_their_attributes(void **state)
{
    struct layers *l = *state;
    struct layer_merge_node node;
    static const char *const ways[] = {"", "/", "root", "d/up", "d/..", "d/../d/../.."};

    layers_add(l, "d ./", "d d", "l root /", "l d/up ..", NULL);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        assert_int_equal(
            layer_merge_find(&l->merge, &l->arena, bytes_str(ways[i]), true, &node, &l->err), 1);
        assert_int_equal(node.entry.type, LAYER_DIR);
        assert_int_equal(node.entry.mtime, 1400000000);
        assert_int_equal(node.entry.mode, 0755);
        assert_int_equal(node.parts_n, 1);
    }
}

static void
a_directory_is_listed_from_a_name_on(void **state)
{
    struct layers *l = *state;
    struct layer_merge_node root, node;
    struct layer_merge_list *list;
    char text[100] = "";

    layers_add(l, "f a 1", "f c 1", "f e 1", NULL);
    layers_add(l, "f b 1", "f d 1", "f .wh.e", "f f 1", NULL);
    assert_int_equal(layer_merge_find(&l->merge, &l->arena, bytes_str(""), true, &root, &l->err),
                     1);
    list = layer_merge_list(&l->merge, &root, bytes_str("c"), &l->err);
    assert_non_null(list);
    while (layer_merge_next(list, &node, &l->err) > 0) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s %zu,",
                 (int)node.entry.name.n, (const char *)node.entry.name.p, node.layer);
    }
    layer_merge_leave(list);
    assert_string_equal(text, "c 1,d 0,f 0,");
}

static void
the_same_layer_twice_is_the_same_tree(void **state)
{
    struct layers *l = *state;
    struct layer_index *twice[3];

    layers_add(l, "d d", "l d/link target", "f d/.wh.x", NULL);
    for (int i = 0; i < 3; i++)
        twice[i] = l->index[0];
    l->merge = (struct layer_merge){twice, 3, LAYER_MERGE_STEPS};
    TREE(l, "d d\nl d/link target\n");
    assert_string_equal(layers_cat(l, "d/link"), "(not there)");
}

static void
a_request_that_looks_at_too_much_is_stopped(void **state)
{
    struct layers *l = *state;
    struct layer_merge_node node;

    layers_add(l, "d d", "l d/a ../d/../d/../d", "f d/f 1", NULL);
    l->merge.steps = 10;
    assert_int_equal(
        layer_merge_find(&l->merge, &l->arena, bytes_str("d/a/a/a/a/a/a/f"), true, &node, &l->err),
        -1);
    assert_int_equal(l->err.code, ERR_NOT_BROWSABLE);
}

/* Each of them leads through many of the next layer, and each of those again. */
static void
hard_links_from_layer_to_layer_are_no_work_without_end(void **state)
{
    struct layers *l = *state;
    struct layer_merge_node node;

    layers_add(l, "l b .", "f t x", NULL);
    for (int i = 1; i < 20; i++)
        layers_add(l, "h b b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b/b", "f u x", NULL);
    l->merge.steps = LAYER_MERGE_STEPS;
    assert_int_equal(layer_merge_find(&l->merge, &l->arena, bytes_str("b"), false, &node, &l->err),
                     -1);
    assert_int_equal(l->err.code, ERR_NOT_BROWSABLE);
    assert_non_null(strstr(l->err.message, "takes too long"));
    l->merge.steps = LAYER_MERGE_STEPS;
    assert_int_equal(layer_merge_find(&l->merge, &l->arena, bytes_str("t"), false, &node, &l->err),
                     1);
}

static void
a_layer_that_is_not_browsable_says_why(void **state)
{
    struct layers *l = *state;
    struct layer_merge_node node;

    layers_add(l, "f a 1", NULL);
    layers_add_bytes(l, bytes_str("this is a text, and no tar"));
    assert_int_equal(layer_merge_find(&l->merge, &l->arena, bytes_str("a"), true, &node, &l->err),
                     -1);
    assert_int_equal(l->err.code, ERR_NOT_BROWSABLE);
    assert_non_null(strstr(l->err.message, "not a tar"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_upper_file_replaces_a_lower_one),
        TEST(a_lower_links_name_becomes_a_directory),
        TEST(so_does_an_absolute_a_dangling_or_an_escaping_one),
        TEST(a_directory_replaces_a_lower_link),
        TEST(a_link_of_the_same_layer_is_gone_through),
        TEST(links_in_a_circle_are_refused),
        TEST(forty_links_are_followed_and_no_more),
        TEST(a_whiteout_does_not_reach_through_a_lower_link),
        TEST(a_hard_link_takes_what_its_target_is_at_that_moment),
        TEST(a_hard_link_keeps_the_old_content_when_its_target_is_replaced_above),
        TEST(a_hard_link_may_lead_to_a_lower_layer),
        TEST(a_chain_of_hard_links_goes_down_the_layers),
        TEST(a_hard_link_to_nothing_is_shown_and_cannot_be_read),
        TEST(a_hard_link_to_a_link_is_a_link_and_goes_through_a_linked_directory),
        TEST(a_directory_replaces_a_file),
        TEST(a_file_or_link_replaces_a_directory_with_all_in_it),
        TEST(a_whiteout_and_an_entry_of_one_layer_in_any_order),
        TEST(whiteouts_below_what_is_no_directory_say_nothing),
        TEST(a_whiteout_beside_its_directory_makes_that_opaque),
        TEST(an_opaque_mark_hides_what_is_below_whatever_the_order),
        TEST(an_opaque_root_hides_all),
        TEST(a_whiteout_of_everything_leaves_nothing),
        TEST(a_name_twice_in_a_layer_is_the_last_one),
        TEST(a_whiteout_that_is_a_directory_hides_and_its_contents_are_dropped),
        TEST(a_link_does_not_lead_into_a_whiteout),
        TEST(names_are_cleaned_and_stay_inside),
        TEST(odd_whiteouts_are_ignored),
        TEST(aufs_names_are_not_shown_but_hard_links_lead_to_them),
        TEST(a_parent_without_an_entry_has_the_lower_ones_mode),
        TEST(paths_follow_links_inside_the_merged_tree),
        TEST(the_root_and_where_links_lead_back_to_have_their_attributes),
        TEST(a_directory_is_listed_from_a_name_on),
        TEST(the_same_layer_twice_is_the_same_tree),
        TEST(a_request_that_looks_at_too_much_is_stopped),
        TEST(hard_links_from_layer_to_layer_are_no_work_without_end),
        TEST(a_layer_that_is_not_browsable_says_why),
    };
    return cmocka_run_group_tests_name("layer_merge", tests, NULL, NULL);
}
