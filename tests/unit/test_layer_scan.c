/* From strangers' bytes to an index: tars of all formats, and layers that were made to hurt. */
#include "layer_fixture.h"
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/fdio.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, layers_begin, layers_end)
#define MAX ((size_t)1 << 28)

/* Not browsable, and why. */
static void
expect_refused(struct layers *l, size_t i, const char *why)
{
    assert_false(l->info[i].browsable);
    if (strstr(l->info[i].remark, why) == NULL)
        fail_msg("%s instead of %s", l->info[i].remark, why);
}

/* ---- names ---- */

static void
add_long_name(struct layers *l, size_t n, size_t component)
{
    struct buf tar;
    char *line = malloc(n + 4);

    assert_non_null(line);
    buf_init(&tar, MAX);
    snprintf(line, 4, "d ");
    for (size_t i = 0; i < n; i++)
        line[2 + i] = (i + 1) % (component + 1) == 0 ? '/' : 'n';
    line[2 + n] = '\0';
    layers_put_line(&tar, line);
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
    free(line);
}

static void
names_may_be_as_long_as_a_file_system_has_them(void **state)
{
    struct layers *l = *state;
    const char *text;

    add_long_name(l, 4000, 255);
    assert_true(l->info[0].browsable);
    text = layers_tree(l);
    for (int i = 1; i < 16; i++)
        text = strchr(text, '\n') + 1;
    assert_int_equal(strlen(text), 2 + 4000 + 1);
}

static void
longer_names_are_not_browsable(void **state)
{
    struct layers *l = *state;

    add_long_name(l, 4000, 256);
    add_long_name(l, 4000, 4000);
    add_long_name(l, 4096, 200);
    for (size_t i = 0; i < 3; i++) {
        expect_refused(l, i, "no file system can hold");
    }
}

/* ---- what is no tar, or a broken one ---- */

static void
what_is_no_tar_says_so(void **state)
{
    struct layers *l = *state;
    struct buf z;

    buf_init(&z, MAX);
    layers_add_bytes(l, bytes_str("Once upon a time there was a blob that was no tar at all."));
    layers_gzip(&z, bytes_str("<html>nor this</html>"), 6);
    layers_add_bytes(l, buf_bytes(&z));
    for (size_t i = 0; i < 2; i++) {
        assert_false(l->info[i].browsable);
        assert_non_null(strstr(l->info[i].remark, "not a tar"));
        assert_int_equal(l->info[i].diff_id.algo, DIGEST_SHA256);
    }
    buf_free(&z);
}

static void
nothing_and_zeros_are_empty_layers(void **state)
{
    struct layers *l = *state;
    static const char zeros[10240];
    struct buf z;

    buf_init(&z, MAX);
    layers_add_bytes(l, bytes_of("", 0));
    layers_add_bytes(l, bytes_of(zeros, 1024));
    layers_add_bytes(l, bytes_of(zeros, sizeof zeros));
    layers_gzip(&z, bytes_of("", 0), 6);
    layers_add_bytes(l, buf_bytes(&z));
    buf_free(&z);
    for (size_t i = 0; i < 4; i++) {
        assert_true(l->info[i].browsable);
        assert_string_equal(l->info[i].remark, "");
    }
    TREE(l, "");
}

static struct buf
two_files(void)
{
    struct buf tar;
    char data[3000];

    memset(data, 'x', sizeof data);
    buf_init(&tar, MAX);
    layers_put_file(&tar, "a", "one", 3);
    layers_put_file(&tar, "b", data, sizeof data);
    return tar;
}

static void
the_diff_id_is_of_all_bytes_and_the_rest_is_counted(void **state)
{
    struct layers *l = *state;
    struct buf tar = two_files(), z;
    struct digest want;

    buf_init(&z, MAX);
    layers_put_line(&tar, "h c a");
    layers_put_end(&tar);
    buf_puts(&tar, "something behind the end of the archive");
    digest_of(&want, DIGEST_SHA256, buf_bytes(&tar));
    layers_gzip(&z, buf_bytes(&tar), 6);
    layers_add_bytes(l, buf_bytes(&z));
    layers_add_bytes(l, buf_bytes(&tar));
    for (size_t i = 0; i < 2; i++) {
        assert_true(digest_equal(&l->info[i].diff_id, &want));
        assert_int_equal(l->info[i].size, tar.n);
        assert_int_equal(l->info[i].layer_size, i == 0 ? z.n : tar.n);
        assert_int_equal(l->info[i].names, 3);
        assert_int_equal(l->info[i].files, 3);
        assert_int_equal(l->info[i].file_bytes, 3003);
    }
    buf_free(&tar);
    buf_free(&z);
}

static void
a_cut_tar_keeps_what_is_before(void **state)
{
    struct layers *l = *state;
    struct buf tar = two_files(), z;

    buf_init(&z, MAX);
    layers_add_bytes(l, bytes_of(tar.p, tar.n - 2000));
    layers_gzip(&z, bytes_of(tar.p, tar.n - 2000), 6);
    layers_add_bytes(l, buf_bytes(&z));
    for (size_t i = 0; i < 2; i++) {
        assert_true(l->info[i].browsable);
        assert_true(l->info[i].incomplete);
        assert_string_equal(layers_alone(l, i), "f a\nf b\n");
    }
    assert_string_equal(layers_cat(l, "a"), "one");
    assert_non_null(strstr(layers_cat(l, "b"), "damaged, or ends before"));
    buf_free(&tar);
    buf_free(&z);
}

static void
a_gzip_that_is_not_the_whole_layer_has_no_diff_id(void **state)
{
    struct layers *l = *state;
    struct buf tar = two_files(), z;

    buf_init(&z, MAX);
    layers_put_end(&tar);
    layers_gzip(&z, buf_bytes(&tar), 6);
    layers_add_bytes(l, bytes_of(z.p, z.n - 1));
    assert_int_equal(l->info[0].diff_id.algo, DIGEST_NONE);
    assert_non_null(strstr(l->info[0].remark, "end too early"));
    assert_string_equal(layers_cat(l, "a"), "one");
    z.p[z.n - 5] ^= 1;
    layers_add_bytes(l, buf_bytes(&z));
    assert_int_equal(l->info[1].diff_id.algo, DIGEST_NONE);
    assert_non_null(strstr(l->info[1].remark, "damaged"));
    z.p[z.n - 5] ^= 1;
    buf_puts(&z, "garbage");
    layers_add_bytes(l, buf_bytes(&z));
    assert_int_equal(l->info[2].diff_id.algo, DIGEST_NONE);
    assert_non_null(strstr(l->info[2].remark, "are ignored"));
    assert_string_equal(layers_cat(l, "a"), "one");
    buf_free(&tar);
    buf_free(&z);
}

static void
a_tar_behind_a_tar_is_not_looked_at(void **state)
{
    struct layers *l = *state;
    struct buf tar = two_files();

    layers_put_end(&tar);
    layers_put_file(&tar, "c", "two", 3);
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    assert_string_equal(layers_alone(l, 0), "f a\nf b\n");
    buf_free(&tar);
}

static void
a_header_in_the_middle_that_is_none_ends_it(void **state)
{
    struct layers *l = *state;
    struct buf tar = two_files();

    memset(buf_extend(&tar, 512), 'j', 512);
    layers_put_file(&tar, "c", "three", 5);
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    assert_string_equal(layers_alone(l, 0), "f a\nf b\n");
    assert_true(l->info[0].incomplete);
    buf_free(&tar);
}

static void
a_lying_size_is_an_early_end(void **state)
{
    struct layers *l = *state;
    struct buf tar;

    buf_init(&tar, MAX);
    layers_put_file(&tar, "a", "one", 3);
    layers_put_header(&tar, '0', "huge", 4, "", 077777777777);
    buf_puts(&tar, "little");
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
    assert_string_equal(layers_alone(l, 0), "f a\nf huge\n");
    assert_true(l->info[0].incomplete);
    assert_string_equal(layers_cat(l, "a"), "one");
    assert_non_null(strstr(layers_cat(l, "huge"), "damaged, or ends before"));
}

/* ---- bounds ---- */

static void
add_many(struct layers *l, unsigned n, const char *format)
{
    struct buf tar;
    char line[100];

    buf_init(&tar, MAX);
    for (unsigned i = 0; i < n; i++) {
        snprintf(line, sizeof line, "f %.20s%08u x", format, i);
        layers_put_line(&tar, line);
    }
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
}

static void
each_bound_refuses_what_is_beyond_it(void **state)
{
    struct layers *l = *state;
    struct buf z, tar;

    buf_init(&z, MAX);
    l->limits.tree.entries = 100;
    add_many(l, 101, "");
    expect_refused(l, 0, "more than 100 entries");
    add_many(l, 100, "");
    assert_true(l->info[1].browsable);
    add_many(l, 51, "/");
    assert_true(l->info[2].browsable);
    add_many(l, 100, "one/");
    expect_refused(l, 3, "more than 100 entries"); /* with the directory */

    l->limits = layer_scan_defaults;
    l->limits.tree.names = 1000;
    add_many(l, 130, "");
    expect_refused(l, 4, "names have more than 1000 bytes");

    l->limits = layer_scan_defaults;
    l->limits.tree.depth = 3;
    layers_add(l, "f a/b/c/d 1", NULL);
    expect_refused(l, 5, "more than 3 directories inside each other");
    layers_add(l, "f a/b/c 1", NULL);
    assert_true(l->info[6].browsable);

    l->limits = layer_scan_defaults;
    l->limits.tree.work = 300;
    add_many(l, 101, "a/b/c/");
    expect_refused(l, 7, "takes too long");

    l->limits = layer_scan_defaults;
    l->limits.ratio = 10;
    l->limits.slack = 100000;
    buf_init(&tar, MAX);
    memset(buf_extend(&tar, 1000000), 0, 1000000);
    layers_gzip(&z, buf_bytes(&tar), 9);
    layers_add_bytes(l, buf_bytes(&z));
    expect_refused(l, 8, "expands to more than");
    assert_int_equal(l->info[8].diff_id.algo, DIGEST_NONE);
    buf_free(&tar);
    buf_free(&z);
}

/* A deep link, walked again and again, is work too. */
static void
links_that_cost_time_are_bounded(void **state)
{
    struct layers *l = *state;
    struct buf tar;
    char line[4200], target[4000] = "";

    for (int i = 0; i < 1300; i++)
        snprintf(target + 3 * i, 4, "../");
    buf_init(&tar, MAX);
    snprintf(line, sizeof line, "l l0 %s", target);
    layers_put_line(&tar, line);
    for (int i = 1; i < 39; i++) {
        snprintf(line, sizeof line, "l l%d %s/l%d", i, target, i - 1);
        layers_put_line(&tar, line);
    }
    for (int i = 0; i < 100; i++)
        layers_put_line(&tar, "f l38/x 1");
    layers_put_end(&tar);
    l->limits.tree.work = 1000000;
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
    expect_refused(l, 0, "takes too long");
}

static void
zeros_without_end_are_stopped_in_time(void **state)
{
    struct layers *l = *state;
    struct buf zeros, z;

    buf_init(&zeros, MAX);
    buf_init(&z, MAX);
    memset(buf_extend(&zeros, 64u << 20), 0, 64u << 20);
    layers_gzip(&z, buf_bytes(&zeros), 6);
    size_t one = z.n;
    struct buf many;
    buf_init(&many, MAX);
    for (int i = 0; i < 64; i++) /* 4 GB */
        buf_put(&many, z.p, one);
    l->limits.slack = 256u << 20;
    layers_add_bytes(l, buf_bytes(&many));
    expect_refused(l, 0, "expands to more than");
    buf_free(&zeros);
    buf_free(&z);
    buf_free(&many);
}

static void
a_name_twenty_thousand_times_is_one_entry(void **state)
{
    struct layers *l = *state;
    struct buf tar;
    char line[40];

    buf_init(&tar, MAX);
    for (int i = 0; i < 20000; i++) {
        snprintf(line, sizeof line, i % 3 == 0 ? "d x" : i % 3 == 1 ? "f x/%d y" : "f x %d", i);
        layers_put_line(&tar, line);
    }
    layers_put_line(&tar, "f x last");
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
    TREE(l, "f x last\n");
}

/* ---- memory: in a program of its own, since what was the most never shrinks ---- */

#define MEMORY_KB 65536

#ifdef __has_feature /* clang */
#define SANITIZED __has_feature(address_sanitizer)
#elif defined __SANITIZE_ADDRESS__ /* gcc */
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* The other program: scans its descriptor 3. */
static int
scan_and_tell(void)
{
    struct digest digest = {.algo = DIGEST_NONE};
    char line[200];
    struct layer_info info;
    struct err err;
    long kb = 0;

    if (layer_scan(3, &digest, layers_file(bytes_of("", 0)), &layer_scan_defaults, &info, &err) !=
            0 ||
        !info.browsable || info.files != 160000)
        return 2;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    fprintf(stderr, "# %ld KB for 160000 entries\n", kb);
    return kb > 0 && kb <= MEMORY_KB ? 0 : 1;
}

static void
entries_in_great_number_fit_into_64_mb(void **state)
{
    char line[100];
    struct buf tar, z;
    int status, layer;
    pid_t pid;

    (void)state;
    if (SANITIZED)
        skip();
    buf_init(&tar, MAX);
    buf_init(&z, MAX);
    for (unsigned i = 0; i < 160000; i++) {
        snprintf(line, sizeof line, "f usr/lib/node_modules/package-%u/dist/module-number-%u.js x",
                 i / 40, i);
        layers_put_line(&tar, line);
    }
    layers_put_end(&tar);
    layers_gzip(&z, buf_bytes(&tar), 1);
    layer = layers_file(buf_bytes(&z));
    buf_free(&tar);
    buf_free(&z);
    pid = fork();
    if (pid == 0) {
        if (dup2(layer, 3) == 3 && fcntl(3, F_SETFD, 0) == 0)
            execl("/proc/self/exe", "test_layer_scan", "scan", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(layer);
}

/* A gzip of `n` files of 620 bytes that can't be compressed, with names of all kinds. */
static void
put_small_files(struct buf *z, unsigned n)
{
    struct buf tar;
    uint64_t seed = 1;
    char name[60], data[620];

    buf_init(&tar, (size_t)64 << 20);
    for (unsigned i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof data; k++)
            data[k] = (char)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
        snprintf(name, sizeof name, "some/where/%u/%016" PRIx64, i / 100, seed);
        layers_put_file(&tar, name, data, sizeof data);
    }
    layers_put_end(&tar);
    layers_gzip(z, buf_bytes(&tar), 1);
    buf_free(&tar);
}

/* Names take their room; then checkpoints take less. */
static void
an_index_of_small_files_stays_small(void **state)
{
    struct digest digest = {.algo = DIGEST_SHA256};
    struct inflate_checkpoint at = {.out = 0};
    struct layer_info info;
    struct layer_index *x;
    struct stat st;
    struct buf z;
    struct err err;
    int layer, out = layers_file(bytes_of("", 0));

    (void)state;
    buf_init(&z, (size_t)64 << 20);
    put_small_files(&z, 25000);
    layer = layers_file(buf_bytes(&z));
    assert_int_equal(layer_scan(layer, &digest, out, &layer_scan_defaults, &info, &err), 0);
    assert_int_equal(fstat(out, &st), 0);
    assert_true((uint64_t)st.st_size * 40 <= z.n);
    x = layer_index_open(out, &err);
    assert_non_null(x);
    for (uint64_t position = 0; position < info.size; position += 1u << 20) {
        assert_true(layer_index_checkpoint(x, position, &at, &err) >= 0);
        assert_true(position - at.out <= 5 * layer_scan_defaults.spacing);
    }
    assert_true(at.out > 0);
    layer_index_close(x);
    close(layer);
    buf_free(&z);
}

/* Damage anywhere in a layer: an index is made, which is in order. */
static void
any_flipped_bit_of_a_layer_is_survived(void **state)
{
    struct buf tar = two_files(), z;

    (void)state;
    buf_init(&z, MAX);
    layers_put_line(&tar, "d d");
    layers_put_line(&tar, "l d/l a");
    layers_put_end(&tar);
    layers_gzip(&z, buf_bytes(&tar), 0);
    for (size_t at = 0; at < z.n; at += at % 512 < 160 ? 1 : 40) {
        void *fresh;

        layers_begin(&fresh);
        z.p[at] = (char)(z.p[at] ^ 1 << at % 8);
        layers_add_bytes(fresh, buf_bytes(&z));
        layers_alone(fresh, 0);
        z.p[at] = (char)(z.p[at] ^ 1 << at % 8);
        layers_end(&fresh);
    }
    buf_free(&tar);
    buf_free(&z);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(names_may_be_as_long_as_a_file_system_has_them),
        TEST(longer_names_are_not_browsable),
        TEST(what_is_no_tar_says_so),
        TEST(nothing_and_zeros_are_empty_layers),
        TEST(the_diff_id_is_of_all_bytes_and_the_rest_is_counted),
        TEST(a_cut_tar_keeps_what_is_before),
        TEST(a_gzip_that_is_not_the_whole_layer_has_no_diff_id),
        TEST(a_tar_behind_a_tar_is_not_looked_at),
        TEST(a_header_in_the_middle_that_is_none_ends_it),
        TEST(a_lying_size_is_an_early_end),
        TEST(each_bound_refuses_what_is_beyond_it),
        TEST(links_that_cost_time_are_bounded),
        TEST(zeros_without_end_are_stopped_in_time),
        TEST(a_name_twenty_thousand_times_is_one_entry),
        TEST(any_flipped_bit_of_a_layer_is_survived),
        cmocka_unit_test(an_index_of_small_files_stays_small),
        cmocka_unit_test(entries_in_great_number_fit_into_64_mb),
    };

    if (argc > 1 && strcmp(argv[1], "scan") == 0)
        return scan_and_tell();
    return cmocka_run_group_tests_name("layer_scan", tests, NULL, NULL);
}
