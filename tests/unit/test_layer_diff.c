/* What is different between two images. */
#include "layer_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "domain/inside/layer_diff.h"
#include "storage/layers/tar_write.h"

#define MAX ((size_t)1 << 28)

struct two {
    struct layers *from, *to;
    struct buf text;
    unsigned reads, corrupt_at; /* the how manieth blob that is opened shows a damaged index */
};

static int
begin(void **state)
{
    struct two *t = calloc(1, sizeof *t);

    assert_non_null(t);
    layers_begin((void **)&t->from);
    layers_begin((void **)&t->to);
    buf_init(&t->text, MAX);
    *state = t;
    return 0;
}

static int
finish(void **state)
{
    struct two *t = *state;

    layers_end((void **)&t->from);
    layers_end((void **)&t->to);
    buf_free(&t->text);
    free(t);
    return 0;
}

/* ---- time ----
 * This takes the place of the C library's. Each look moves the clock by step_s. */

static time_t step_s, ahead_s;

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, ts);

    ahead_s += step_s;
    if (rc == 0)
        ts->tv_sec += ahead_s;
    return rc;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

/* ---- */

static struct two *now;

static int
blob(void *arg, size_t layer, struct err *err)
{
    struct layers *l = arg;

    if (++now->reads == now->corrupt_at)
        return err_set(err, ERR_CORRUPT, "damaged");
    return dup(l->blob[l->n - 1 - layer]);
}

static int
mend(void *arg, struct err *err)
{
    (void)arg;
    (void)err;
    now->corrupt_at += 3;
    return 0;
}

static int
show(void *arg, const struct layer_diff_change *c, struct err *err)
{
    struct buf *text = arg;

    (void)err;
    buf_putf(text, "%c %.*s%s", "+~-"[c->op], (int)c -> path.n, (const char *)c->path.p,
             c->dir ? "/" : "");
    for (unsigned i = 0; i < LAYER_DIFF_WHATS; i++)
        if ((c->changed >> i & 1) != 0)
            buf_putf(text, " %s", layer_diff_name(i));
    for (unsigned i = 0; i < LAYER_DIFF_WHATS; i++)
        if ((c->unknown >> i & 1) != 0)
            buf_putf(text, " %s?", layer_diff_name(i));
    buf_putc(text, '\n');
    return 0;
}

static const char *
difference(struct two *t, struct layers *from, struct layers *to)
{
    struct digest digests[2][LAYERS_MAX];
    struct layer_diff_side sides[2] = {
        {.files = {.merge = &from->merge, .blob = blob, .mend = mend, .arg = from},
         .layers = digests[0]},
        {.files = {.merge = &to->merge, .blob = blob, .mend = mend, .arg = to},
         .layers = digests[1]}};

    for (size_t i = 0; i < from->n; i++)
        digests[0][i] = from->info[from->n - 1 - i].layer;
    for (size_t i = 0; i < to->n; i++)
        digests[1][i] = to->info[to->n - 1 - i].layer;
    now = t;
    t->reads = 0;
    buf_reset(&t->text);
    if (layer_diff(&sides[0], &sides[1], bytes_of("", 0), show, &t->text, &t->from->err) != 0)
        fail_msg("diff: %s", t->from->err.message);
    return buf_text(&t->text);
}

#define DIFF(t, text) assert_string_equal(difference(t, (t)->from, (t)->to), text)
#define BACK(t, text) assert_string_equal(difference(t, (t)->to, (t)->from), text)

static void
an_image_is_not_different_from_itself(void **state)
{
    struct two *t = *state;

    layers_add(t->from, "d etc/", "f etc/a one", "l l etc", "p p", NULL);
    layers_add(t->to, "d etc/", "f etc/a one", "l l etc", "p p", NULL);
    DIFF(t, "");
    layers_add(t->to, "d etc/", "f etc/a one", NULL);
    DIFF(t, "");
    assert_int_equal(t->reads, 2);
}

static void
what_was_added_and_removed_is_told_path_by_path(void **state)
{
    struct two *t = *state;

    layers_add(t->from, "d a", "f a/b 1", "d a/c", "f a/c/d 2", "f a-x 3", "f z 4", NULL);
    layers_add(t->to, "d a", "f a/b 1", "f a/new 2", "d q", "f q/r 5", "f z 4", NULL);
    DIFF(t, "- a-x\n- a/c/\n- a/c/d\n+ a/new\n+ q/\n+ q/r\n");
    BACK(t, "+ a-x\n+ a/c/\n+ a/c/d\n- a/new\n- q/\n- q/r\n");
    layers_add(t->from, "f a/.wh..wh..opq ", "f .wh.z ", NULL);
    DIFF(t, "- a-x\n+ a/b\n+ a/new\n+ q/\n+ q/r\n+ z\n");
}

static void
a_directory_that_became_a_file(void **state)
{
    struct two *t = *state;

    layers_add(t->from, "d a", "f a/b 1", "l s t", NULL);
    layers_add(t->to, "f a 1", "f s 1", NULL);
    DIFF(t, "~ a type mode\n- a/b\n~ s type\n");
    BACK(t, "~ a/ type mode\n+ a/b\n~ s type\n");
}

static void
contents_are_compared(void **state)
{
    struct two *t = *state;

    layers_add(t->from, "f a one", "f b same", "f c 1", "f e ", "l l x", "h h a", NULL);
    layers_add(t->to, "f b same", "f a two", "f c 22", "f e ", "l l y", "f h one", NULL);
    DIFF(t, "~ a content\n~ c size content\n~ l link\n");
}

static void
put_entry(struct buf *tar, const char *path, const struct tar_entry *like)
{
    struct tar_entry e = *like;

    e.path = bytes_str(path);
    tar_write_header(tar, &e);
}

static void
add_attributes(struct layers *l, int which)
{
    struct tar_entry e = {.type = LAYER_FILE, .mode = 0644, .mtime = 5, .link = bytes_of("", 0)};
    struct buf tar;

    buf_init(&tar, MAX);
    e.mode = which == 0 ? 0644 : 04644;
    put_entry(&tar, "mode", &e);
    e.uid = which == 0 ? 0 : 70000000;
    e.gid = which == 0 ? 1 : 2;
    put_entry(&tar, "owner", &e);
    e.nanos = which == 0 ? 0 : 7;
    put_entry(&tar, "time", &e);
    e = (struct tar_entry){.type = LAYER_CHAR, .mode = 0644, .major = 5, .minor = 1};
    put_entry(&tar, "device-same", &e);
    e.minor = which == 0 ? 1 : 2;
    put_entry(&tar, "device", &e);
    e.type = which == 0 ? LAYER_CHAR : LAYER_BLOCK;
    put_entry(&tar, "kind", &e);
    e = (struct tar_entry){
        .type = LAYER_SYMLINK, .mode = which == 0 ? 0777 : 0644, .link = bytes_str("x")};
    put_entry(&tar, "link", &e);
    e = (struct tar_entry){.type = LAYER_DIR, .mode = which == 0 ? 0755 : 0700};
    put_entry(&tar, "dir", &e);
    tar_write_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
}

static void
each_attribute_is_told(void **state)
{
    struct two *t = *state;

    add_attributes(t->from, 0);
    add_attributes(t->to, 1);
    DIFF(t, "~ device device\n~ dir/ mode\n~ kind type\n~ mode mode\n~ owner mode uid gid\n"
            "~ time mode uid gid mtime\n");
}

/* Of files in a layer that both images have nothing is read. */
static void
what_is_in_a_layer_of_both_is_not_read(void **state)
{
    struct two *t = *state;

    layers_add(t->from, "f a one", "f b two", "f c three", NULL);
    layers_add(t->to, "f a one", "f b two", "f c three", NULL);
    layers_add(t->to, "f c other", NULL);
    t->corrupt_at = 0;
    DIFF(t, "~ c content\n");
    assert_int_equal(t->reads, 2);
}

static void
what_can_not_be_read_is_unknown(void **state)
{
    struct two *t = *state;
    char many[2000];

    memset(many, 'x', sizeof many);
    many[sizeof many - 1] = '\0';
    memcpy(many, "f c ", 4);
    layers_add(t->from, "f a one", "f b two", many, NULL);
    layers_add(t->to, "f a new", "f b two", many, "f d 1", NULL);
    assert_int_equal(ftruncate(t->to->blob[0], 512), 0);
    DIFF(t, "~ a content?\n~ b content?\n~ c content?\n+ d\n");
}

static void
large_files_are_compared_to_their_last_byte(void **state)
{
    struct two *t = *state;
    struct buf tar;
    size_t n = 700000;
    char *p = malloc(n);

    assert_non_null(p);
    memset(p, 'x', n);
    buf_init(&tar, MAX);
    layers_put_file(&tar, "a", p, n);
    layers_put_file(&tar, "b", p, n);
    layers_put_end(&tar);
    layers_add_bytes(t->from, buf_bytes(&tar));
    buf_reset(&tar);
    layers_put_file(&tar, "b", p, n);
    p[n - 1] = 'y';
    layers_put_file(&tar, "a", p, n);
    layers_put_end(&tar);
    layers_add_bytes(t->to, buf_bytes(&tar));
    DIFF(t, "~ a content\n");
    buf_free(&tar);
    free(p);
}

/* The cost of a difference isn't bounded by the decoded bytes: a few bytes can be a file of 64
 * GiB. */
static void
what_takes_too_long_is_unknown(void **state)
{
    struct two *t = *state;

    layers_add(t->from, "f a 1", "f b 1", "f c 1", "f d 1", "f e 1", "f f 1", "f g 1", "f z 1",
               NULL);
    layers_add(t->to, "f a 2", "f b 2", "f c 2", "f d 2", "f e 2", "f f 2", "f g 2", "f z 22",
               NULL);
    step_s = LAYER_DIFF_MS / 5 / 1000;
    difference(t, t->from, t->to);
    step_s = 0;
    assert_ptr_equal(strstr(buf_text(&t->text), "~ a content\n"), buf_text(&t->text));
    assert_non_null(strstr(buf_text(&t->text), "\n~ g content?\n~ z size content\n"));
    DIFF(t, "~ a content\n~ b content\n~ c content\n~ d content\n~ e content\n~ f content\n"
            "~ g content\n~ z size content\n");
}

/* ---- at random, against a plain comparison of two listings ---- */

static void
add_random(struct layers *l, int lines)
{
    static const char *const names[] = {"a", "b", "a-", "a.", "ab"};
    struct buf tar, line;

    buf_init(&tar, MAX);
    buf_init(&line, 300);
    for (; lines > 0; lines--) {
        char kind = "fffdlw"[rand() % 6];

        buf_reset(&line);
        buf_putf(&line, "%c ", kind == 'w' ? 'f' : kind);
        for (int depth = rand() % 3; depth >= 0; depth--)
            buf_putf(&line, "%s%s%s", depth == 0 && kind == 'w' ? ".wh." : "", names[rand() % 5],
                     depth > 0 ? "/" : "");
        if (kind == 'f' || kind == 'l')
            buf_putf(&line, " %d", rand() % 3);
        layers_put_line(&tar, buf_text(&line));
    }
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
    buf_free(&line);
}

/* The rest of the line "K PATH..." of that path in a listing, from K on; NULL: none. */
static const char *
line_of(const char *tree, const char *path, size_t n)
{
    for (const char *p = tree; *p != '\0'; p = strchr(p, '\n') + 1)
        if (strcspn(p + 2, " \n") == n && memcmp(p + 2, path, n) == 0)
            return p;
    return NULL;
}

static bool
same_kind(char a, char b)
{
    return a == b || (a == 'd' && b == 'D') || (a == 'D' && b == 'd');
}

/* The difference that the listings show for a path. */
static void
expect_told(const char *diff, const char *path, size_t n, const char *a, const char *b)
{
    char found = ' ';
    const char *line = NULL;

    for (const char *p = diff; *p != '\0'; p = strchr(p, '\n') + 1) {
        size_t is = strcspn(p + 2, " \n");

        if ((is == n || (is == n + 1 && p[2 + n] == '/')) && memcmp(p + 2, path, n) == 0) {
            assert_null(line);
            line = p;
            found = *p;
        }
    }
    if (a == NULL || b == NULL) {
        assert_int_equal(found, a == NULL ? '+' : '-');
    } else if (same_kind(*a, *b)) {
        bool same =
            strcspn(a, "\n") == strcspn(b, "\n") && memcmp(a + 1, b + 1, strcspn(a, "\n") - 1) == 0;
        bool told = line != NULL && (memmem(line, strcspn(line, "\n"), " content", 8) != NULL ||
                                     memmem(line, strcspn(line, "\n"), " link", 5) != NULL);

        assert_int_equal(told, !same);
    } else {
        assert_int_equal(found, '~');
        assert_non_null(memmem(line, strcspn(line, "\n"), " type", 5));
    }
}

static void
random_images_differ_as_their_listings_do(void **state)
{
    struct two *t = *state;

    srand(1);
    for (int i = 0; i < 10; i++) {
        char *a, *b;
        const char *diff;

        add_random(i % 3 == 0 ? t->to : t->from, 12);
        if (t->from->n == 0 || t->to->n == 0)
            continue;
        a = strdup(layers_tree(t->from));
        b = strdup(layers_tree(t->to));
        t->corrupt_at = i % 2 == 0 ? 1 : 0;
        diff = difference(t, t->from, t->to);
        for (const char *p = a; *p != '\0'; p = strchr(p, '\n') + 1)
            expect_told(diff, p + 2, strcspn(p + 2, " \n"), p,
                        line_of(b, p + 2, strcspn(p + 2, " \n")));
        for (const char *p = b; *p != '\0'; p = strchr(p, '\n') + 1)
            expect_told(diff, p + 2, strcspn(p + 2, " \n"),
                        line_of(a, p + 2, strcspn(p + 2, " \n")), p);
        free(a);
        free(b);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_image_is_not_different_from_itself),
        TEST(what_was_added_and_removed_is_told_path_by_path),
        TEST(a_directory_that_became_a_file),
        TEST(contents_are_compared),
        TEST(each_attribute_is_told),
        TEST(what_is_in_a_layer_of_both_is_not_read),
        TEST(what_can_not_be_read_is_unknown),
        TEST(large_files_are_compared_to_their_last_byte),
        TEST(what_takes_too_long_is_unknown),
        TEST(random_images_differ_as_their_listings_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
