/* Tars as tar and bsdtar make them, of all formats, and names of any bytes. */
#include "layer_fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/fdio.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, layers_begin, layers_end)
#define MAX ((size_t)1 << 28)

/* Runs a shell's command in a fresh directory, and gives what it writes to the file "out"; false if
 * a program that it needs isn't there. */
static bool
run(const char *needs, const char *script, struct buf *out)
{
    char dir[] = "/tmp/test_layer_scan.XXXXXX", command[200];
    struct err err;
    int status, fd;
    pid_t pid;

    snprintf(command, sizeof command, "/usr/bin/%s", needs);
    if (access(command, X_OK) != 0)
        return false;
    assert_non_null(mkdtemp(dir));
    pid = fork();
    if (pid == 0) {
        if (chdir(dir) == 0)
            execl("/bin/sh", "sh", "-ec", script, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(fdio_read_file(fd, "out", out, &err), 1);
    close(fd);
    assert_int_equal(fdio_remove_tree(AT_FDCWD, dir, &err), 0);
    return true;
}

#define MAKE_TREE                                                                       \
    "umask 022; mkdir -p t/d/e; printf hello >t/d/f; chmod 4755 t/d/f; ln -s d/f t/s; " \
    "ln t/d/f t/h; mkfifo t/p; touch -d @1234567890 t/d/f; "

static const char the_tree[] =
    "d t\nd t/d\nd t/d/e\nf t/d/f hello\nf t/h hello\np t/p\nl t/s d/f\n";

static void
expect_the_tree(struct layers *l, const char *format)
{
    struct layer_merge_node node;

    if (strcmp(layers_tree(l), the_tree) != 0)
        fail_msg("%s: %s", format, buf_text(&l->text));
    assert_int_equal(
        layer_merge_find(&l->merge, &l->arena, bytes_str("t/d/f"), true, &node, &l->err), 1);
    assert_int_equal(node.entry.mode, 04755);
    assert_int_equal(node.entry.mtime, 1234567890);
    assert_int_equal(node.entry.uid, getuid());
    assert_false(l->info[0].incomplete);
}

static void
formats(void **state, const char *program, const char *const *names)
{
    for (; *names != NULL; names++) {
        struct layers *l = *state;
        char script[600];
        struct buf tar;

        buf_init(&tar, MAX);
        snprintf(script, sizeof script, MAKE_TREE "%s -c --format %s -f out t", program, *names);
        if (!run(program, script, &tar))
            skip();
        layers_add_bytes(l, buf_bytes(&tar));
        buf_free(&tar);
        expect_the_tree(l, *names);
        layers_end(state);
        layers_begin(state);
    }
}

static void
all_formats_of_gnu_tar(void **state)
{
    static const char *const names[] = {"ustar", "gnu", "oldgnu", "pax", NULL};

    formats(state, "tar", names);
}

static void
all_formats_of_bsdtar(void **state)
{
    static const char *const names[] = {"ustar", "gnutar", "pax", NULL};

    formats(state, "bsdtar", names);
}

static void
a_v7_tar_is_known_by_its_sum(void **state)
{
    struct layers *l = *state;
    struct buf tar;

    buf_init(&tar, MAX);
    if (!run("tar", "mkdir d; printf x >d/f; ln -s d/f s; tar -c --format v7 -f out d s", &tar))
        skip();
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
    TREE(l, "d d\nf d/f x\nl s d/f\n");
}

static void
long_names_links_and_huge_ids(void **state)
{
    static const char *const kinds[] = {"gnu", "pax"};

    for (size_t i = 0; i < 2; i++) {
        struct layers *l = *state;
        struct layer_merge_node node;
        char script[600], path[800];
        struct buf tar;

        buf_init(&tar, MAX);
        snprintf(script, sizeof script,
                 "n=$(printf %%0200d 7); mkdir -p $n/$n; echo x >$n/$n/$n; ln -s $n/$n/$n s; "
                 "tar -c --format %s --owner u:%s --group g:3000000 -f out s $n",
                 kinds[i], i == 0 ? "2097152" : "4294967294");
        if (!run("tar", script, &tar))
            skip();
        layers_add_bytes(l, buf_bytes(&tar));
        buf_free(&tar);
        assert_string_equal(layers_cat(l, "s"), "x\n");
        snprintf(path, sizeof path, "%0200d/%0200d/%0200d", 7, 7, 7);
        assert_int_equal(
            layer_merge_find(&l->merge, &l->arena, bytes_str(path), true, &node, &l->err), 1);
        assert_int_equal(node.entry.uid, i == 0 ? 2097152 : 4294967294u);
        assert_int_equal(node.entry.gid, 3000000);
        layers_end(state);
        layers_begin(state);
    }
}

static void
sparse_files_of_all_formats(void **state)
{
    static const char *const kinds[] = {"--format gnu", "--format pax --sparse-version 0.0",
                                        "--format pax --sparse-version 0.1",
                                        "--format pax --sparse-version 1.0"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct layers *l = *state;
        struct layer_merge_node node;
        char script[600];
        struct buf tar;
        const char *got;

        buf_init(&tar, MAX);
        snprintf(
            script, sizeof script,
            "for i in 1 3 5 7 9 20 30 41; do printf data$i | dd of=f bs=1 seek=$((i * 131072)) "
            "conv=notrunc status=none; done; truncate -s 6000000 f; printf z >z; "
            "tar -c -S %s -f out f z",
            kinds[i]);
        if (!run("tar", script, &tar))
            skip();
        assert_true(tar.n < 1000000);
        layers_add_bytes(l, buf_bytes(&tar));
        buf_free(&tar);
        assert_int_equal(
            layer_merge_find(&l->merge, &l->arena, bytes_str("f"), true, &node, &l->err), 1);
        assert_int_equal(node.entry.flags & LAYER_SPARSE, LAYER_SPARSE);
        assert_string_equal(layers_cat(l, "z"), "z");
        got = layers_cat(l, "f");
        assert_int_equal(l->text.n, 6000000);
        assert_memory_equal(got + 9 * 131072, "data9", 5);
        assert_memory_equal(got + 41 * 131072, "data41", 6);
        for (size_t at = 0, data = 0; at < l->text.n; at++) {
            data += got[at] != 0;
            assert_true(data <= 8 * 6);
        }
        layers_end(state);
        layers_begin(state);
    }
}

/* ---- names ---- */

static void
names_are_bytes(void **state)
{
    struct layers *l = *state;
    struct buf tar;

    buf_init(&tar, MAX);
    layers_put_file(&tar, "\xe9t\xe9", "latin1", 6);
    layers_put_file(&tar, "e\xcc\x81", "decomposed", 10);
    layers_put_file(&tar, "\x80\xff", "no text", 7);
    layers_put_file(&tar, "new\nline", "x", 1);
    /* pax: a path that isn't UTF-8 */
    layers_put_header(&tar, 'x', "pax", 3, "", 12);
    buf_put(&tar, "12 path=\xff\xfe\xfd\n", 12);
    memset(buf_extend(&tar, 512 - 12), 0, 512 - 12);
    layers_put_file(&tar, "short", "pax", 3);
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
    assert_string_equal(layers_cat(l, "\xe9t\xe9"), "latin1");
    assert_string_equal(layers_cat(l, "e\xcc\x81"), "decomposed");
    assert_string_equal(layers_cat(l, "\x80\xff"), "no text");
    assert_string_equal(layers_cat(l, "new\nline"), "x");
    assert_string_equal(layers_cat(l, "\xff\xfe\xfd"), "pax");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_formats_of_gnu_tar),       TEST(all_formats_of_bsdtar),
        TEST(a_v7_tar_is_known_by_its_sum), TEST(long_names_links_and_huge_ids),
        TEST(sparse_files_of_all_formats),  TEST(names_are_bytes),
    };
    return cmocka_run_group_tests_name("tar_scan", tests, NULL, NULL);
}
