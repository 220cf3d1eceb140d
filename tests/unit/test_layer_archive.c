/* Archives of merged trees: read as a layer again, they are the same tree. */
#include "layer_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/inside/layer_archive.h"
#include "domain/inside/layer_walk.h"
#include "storage/layers/tar_scan.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, layers_begin, layers_end)
#define MAX ((size_t)1 << 28)

static int
blob(void *arg, size_t layer, struct err *err)
{
    struct layers *l = arg;

    (void)err;
    return dup(l->blob[l->n - 1 - layer]);
}

static int
append(void *arg, struct bytes b, struct err *err)
{
    buf_put(arg, b.p, b.n);
    return buf_ok(arg) ? 0 : err_set(err, ERR_BUSY, "full");
}

static int
archive(struct layers *l, const char *path, struct buf *tar)
{
    struct layer_files files = {.merge = &l->merge, .blob = blob, .arg = l};

    buf_init(tar, MAX);
    return layer_archive(&files, bytes_str(path), append, tar, &l->err);
}

static struct layers *
unpacked(struct layers *l, const char *path)
{
    struct layers *again;
    struct buf tar;

    if (archive(l, path, &tar) != 0)
        fail_msg("archive of %s: %s", path, l->err.message);
    layers_begin((void **)&again);
    layers_add_bytes(again, buf_bytes(&tar));
    assert_int_equal(again->info[0].skipped, 0);
    assert_false(again->info[0].incomplete);
    assert_string_equal(again->info[0].remark, "");
    buf_free(&tar);
    return again;
}

static void
done(struct layers *l)
{
    layers_end((void **)&l);
}

static void
expect_same_attributes(struct layers *a, struct layers *b)
{
    struct layer_merge_node root, x, y;
    struct layer_walk *w;
    struct bytes path;

    assert_int_equal(layer_merge_find(&a->merge, &a->arena, bytes_of("", 0), true, &root, &a->err),
                     1);
    w = layer_walk_begin(&a->merge, &root, LAYER_WALK_TREE, bytes_of("", 0), &a->err);
    assert_non_null(w);
    while (layer_walk_next(w, &path, &x, &a->err) > 0) {
        assert_int_equal(layer_merge_find(&b->merge, &b->arena, path, false, &y, &b->err), 1);
        assert_true(x.entry.type == y.entry.type && x.entry.mode == y.entry.mode &&
                    x.entry.uid == y.entry.uid && x.entry.gid == y.entry.gid &&
                    x.entry.size == y.entry.size && x.entry.mtime == y.entry.mtime &&
                    x.entry.nanos == y.entry.nanos && x.entry.major == y.entry.major &&
                    x.entry.minor == y.entry.minor);
    }
    layer_walk_end(w);
}

/* The archive of the root is the tree; implicit directories ('D') are there like any other. */
static void
expect_same_tree(struct layers *l)
{
    struct layers *again = unpacked(l, "/");
    char *is = strdup(layers_tree(l));

    for (char *p = is; *p != '\0'; p++)
        if (*p == 'D' && (p == is || p[-1] == '\n'))
            *p = 'd';
    TREE(again, is);
    expect_same_attributes(l, again);
    free(is);
    done(again);
}

static void
an_archive_of_the_root_is_the_tree(void **state)
{
    struct layers *l = *state;

    layers_add(l, "d etc", "f etc/a one", "f etc/b two", "l lib usr/lib", "p fifo", "f empty ",
               "f usr/lib/x 1", "f usr-x 2", NULL);
    layers_add(l, "f etc/a three", "f etc/.wh.b x", "f new/dir/here 4", "f latin\xe9 5", NULL);
    expect_same_tree(l);
}

static void
names_of_any_length_are_kept(void **state)
{
    struct layers *l = *state;
    struct buf line, tar;
    char part[251];

    buf_init(&line, 10000);
    buf_init(&tar, MAX);
    memset(part, 'n', sizeof part - 1);
    part[sizeof part - 1] = '\0';
    for (int depth = 1; depth <= 16; depth++) {
        buf_reset(&line);
        buf_puts(&line, "f ");
        for (int i = 0; i < depth; i++)
            buf_putf(&line, "%s/", part);
        buf_puts(&line, depth % 2 == 0 ? "x\xff 1" : "y 2");
        layers_put_line(&tar, buf_text(&line));
    }
    buf_reset(&line);
    buf_puts(&line, "l link ");
    for (int i = 0; i < 4000; i++)
        buf_putc(&line, 't');
    layers_put_line(&tar, buf_text(&line));
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    expect_same_tree(l);
    buf_free(&line);
    buf_free(&tar);
}

static void
a_directory_alone_has_names_from_itself_on(void **state)
{
    struct layers *l = *state, *again;

    layers_add(l, "f a/b/c 1", "f a/b/d/e 2", "f a/f 3", "l in a/b", NULL);
    again = unpacked(l, "a/b");
    TREE(again, "f c 1\nd d\nf d/e 2\n");
    done(again);
    again = unpacked(l, "/in/");
    TREE(again, "f c 1\nd d\nf d/e 2\n");
    done(again);
    again = unpacked(l, "in/d/../c");
    TREE(again, "f c 1\n");
    done(again);
}

/* ---- hard links ---- */

static int
see(void *arg, const struct tar_entry *e, struct err *err)
{
    struct buf *text = arg;

    (void)err;
    buf_putf(text, "%.*s%s%.*s\n", (int)e->path.n, (const char *)e->path.p,
             e->hard_link ? " = " : "", (int)e->link.n, (const char *)e->link.p);
    return 0;
}

static int
pull(void *arg, struct bytes *out, struct err *err)
{
    struct bytes *b = arg;

    (void)err;
    *out = *b;
    *b = bytes_of(b->p, 0);
    return out->n > 0;
}

static void
expect_entries(struct layers *l, const char *path, const char *expected)
{
    char why[LAYER_INDEX_TEXT_MAX];
    struct buf tar, text;
    enum tar_end end;
    struct bytes b;
    struct tar_source source = {.pull = pull, .arg = &b};

    buf_init(&text, MAX);
    if (archive(l, path, &tar) != 0)
        fail_msg("%s", l->err.message);
    b = buf_bytes(&tar);
    assert_int_equal(tar_scan(&source, see, &text, &end, why, &l->err), 0);
    assert_string_equal(buf_text(&text), expected);
    buf_free(&tar);
    buf_free(&text);
}

static void
files_that_are_one_are_links_where_both_are_inside(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f z/file 1", "h a/link z/file", "h a/more a/link", "f z/other 1",
               "h b/o z/other", NULL);
    expect_entries(l, "",
                   "./\na/\na/link\na/more = a/link\nb/\nb/o\nz/\nz/file = a/link\n"
                   "z/other = b/o\n");
    expect_entries(l, "a", "./\nlink\nmore = link\n");
    expect_entries(l, "b", "./\no\n");
    expect_same_tree(l);
    layers_add(l, "h c/late b/o", "f z/file 2", "f a/.wh.link ", NULL);
    expect_entries(l, "", "./\na/\na/more\nb/\nb/o\nc/\nc/late = b/o\nz/\nz/file\nz/other = b/o\n");
    expect_same_tree(l);
    layers_add(l, "h d nothing", NULL);
    expect_entries(l, "c", "./\nlate\n");
    expect_entries(l, "", "./\na/\na/more\nb/\nb/o\nc/\nc/late = b/o\nz/\nz/file\nz/other = b/o\n");
}

/* A link to a file that was replaced still has the old bytes. */
static void
a_link_to_what_was_replaced_is_a_file(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f f old", "h g f", "f f new", NULL);
    expect_entries(l, "", "./\nf\ng\n");
    expect_same_tree(l);
}

static void
one_thing_alone_has_its_name(void **state)
{
    struct layers *l = *state;

    layers_add(l, "f a/b/c 1", "l a/s b/c", "p a/p", "h a/h a/b/c", "h a/n nothing", NULL);
    expect_entries(l, "/a/b/c", "c\n");
    expect_entries(l, "a/s", "s\n");
    expect_entries(l, "a/p", "p\n");
    expect_entries(l, "a/h", "h\n");
}

static void
what_is_not_there_is_refused_before_anything_is_put(void **state)
{
    struct layers *l = *state;
    struct buf tar;

    layers_add(l, "f a/b 1", "h n nothing", "l s nowhere", NULL);
    assert_int_equal(archive(l, "a/c", &tar), -1);
    assert_int_equal(l->err.code, ERR_NO_FILE);
    assert_int_equal(tar.n, 0);
    assert_int_equal(archive(l, "n", &tar), -1);
    assert_int_equal(l->err.code, ERR_NO_FILE);
    assert_int_equal(archive(l, "s", &tar), -1);
    assert_int_equal(l->err.code, ERR_NO_FILE);
    l->merge.steps = 3;
    assert_int_equal(archive(l, "", &tar), -1);
    assert_int_equal(l->err.code, ERR_NOT_BROWSABLE);
    assert_int_equal(tar.n, 0);
}

/* ---- many bytes ---- */

/* Files of all sizes around the bounds, more than one batch of them, in another order in the layer
 * than in the tree, compressed. */
static void
batches_of_files_are_what_they_are(void **state)
{
    static const size_t sizes[] = {0, 1, 511, 512, 513, 262143, 262144, 262145, 700000};
    struct layers *l = *state, *again;
    struct buf tar, blob_bytes;
    char name[40], *p;

    buf_init(&tar, MAX);
    buf_init(&blob_bytes, MAX);
    srand(1);
    for (unsigned i = 0; i < 200; i++) {
        size_t n = sizes[i % (sizeof sizes / sizeof *sizes)];

        p = malloc(n + 1);
        for (size_t k = 0; k < n; k++)
            p[k] = (char)('a' + rand() % 4);
        snprintf(name, sizeof name, "d%u/f%u", i * 7919 % 13, i * 104729 % 1000);
        layers_put_file(&tar, name, p, n);
        free(p);
    }
    layers_put_end(&tar);
    layers_gzip(&blob_bytes, buf_bytes(&tar), 1);
    layers_add_bytes(l, buf_bytes(&blob_bytes));
    layers_add(l, "f d1/new 1", NULL);
    again = unpacked(l, "");
    expect_same_attributes(l, again);
    assert_true(again->info[0].file_bytes > (size_t)20 << 20);
    p = strdup(layers_tree(l));
    for (char *c = p; c != NULL && *c != '\0'; c = strchr(c, '\n') + 1)
        *c = *c == 'D' ? 'd' : *c;
    assert_true(strcmp(layers_tree(again), p) == 0);
    free(p);
    done(again);
    buf_free(&tar);
    buf_free(&blob_bytes);
}

/* Indexes that turn out to be damaged, again and again, at any moment. */
struct damaged {
    struct layers *l;
    int left;
    unsigned mended;
};

static int
failing_blob(void *arg, size_t layer, struct err *err)
{
    struct damaged *d = arg;

    if (d->left-- == 0)
        return err_set(err, ERR_CORRUPT, "damaged");
    return blob(d->l, layer, err);
}

static int
mend(void *arg, struct err *err)
{
    struct damaged *d = arg;

    (void)err;
    d->mended++;
    d->left = (int)d->mended;
    return 0;
}

static void
a_damaged_index_in_between_is_not_seen(void **state)
{
    struct layers *l = *state;
    struct damaged d = {.l = l};
    struct layer_files files = {.merge = &l->merge, .blob = failing_blob, .mend = mend, .arg = &d};
    struct buf whole, tar, contents;
    char name[20], *p;

    buf_init(&contents, MAX);
    p = buf_extend(&contents, 300000);
    for (size_t k = 0; k < 300000; k++)
        p[k] = (char)('a' + rand() % 4);
    for (int layer = 0; layer < 7; layer++) {
        buf_init(&tar, MAX);
        for (int i = 0; i < 60; i++) {
            snprintf(name, sizeof name, "f%d", i * 7 + layer);
            layers_put_file(&tar, name, p, i % 10 == 0 ? 300000 : 200000);
        }
        layers_put_end(&tar);
        layers_add_bytes(l, buf_bytes(&tar));
        buf_free(&tar);
    }
    assert_int_equal(archive(l, "", &whole), 0);
    buf_init(&tar, MAX);
    if (layer_archive(&files, bytes_of("", 0), append, &tar, &l->err) != 0)
        fail_msg("%s", l->err.message);
    assert_true(d.mended > 5);
    assert_true(bytes_equal(buf_bytes(&whole), buf_bytes(&tar)));
    buf_free(&whole);
    buf_free(&tar);
    buf_free(&contents);
}

/* The receiver of the bytes takes no more. */
static void
when_nobody_takes_more_it_ends(void **state)
{
    struct layers *l = *state;
    struct layer_files files = {.merge = &l->merge, .blob = blob, .arg = l};
    struct buf tar;

    layers_add(l, "f a 1", "f b 2", "f c/d 3", NULL);
    for (size_t max = 0; max < 5120; max += 512) {
        buf_init(&tar, max);
        assert_int_equal(layer_archive(&files, bytes_of("", 0), append, &tar, &l->err), -1);
        assert_int_equal(l->err.code, ERR_BUSY);
        buf_free(&tar);
    }
}

/* The decoded bytes must be in proportion to the written ones. */
static void
an_archive_decodes_no_more_than_is_in_proportion(void **state)
{
    const uint64_t before[] = {0, LAYER_ARCHIVE_DECODED + LAYER_ARCHIVE_TIMES * 6 + 1};
    struct layers *l = *state;

    layers_add(l, "f a one", "f b two", NULL);
    for (size_t i = 0; i < 2; i++) {
        struct layer_files files = {
            .merge = &l->merge, .blob = blob, .arg = l, .decoded = before[i]};
        struct buf tar;

        buf_init(&tar, MAX);
        assert_int_equal(layer_archive(&files, bytes_str("/"), append, &tar, &l->err),
                         i == 0 ? 0 : -1);
        buf_free(&tar);
    }
    assert_int_equal(l->err.code, ERR_NOT_BROWSABLE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_archive_of_the_root_is_the_tree),
        TEST(names_of_any_length_are_kept),
        TEST(a_directory_alone_has_names_from_itself_on),
        TEST(files_that_are_one_are_links_where_both_are_inside),
        TEST(a_link_to_what_was_replaced_is_a_file),
        TEST(one_thing_alone_has_its_name),
        TEST(what_is_not_there_is_refused_before_anything_is_put),
        TEST(batches_of_files_are_what_they_are),
        TEST(a_damaged_index_in_between_is_not_seen),
        TEST(when_nobody_takes_more_it_ends),
        TEST(an_archive_decodes_no_more_than_is_in_proportion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
