/* Several layers in one child: each fares by itself. */
#include "layer_fixture.h"
#include "store_fixture.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "domain/core/index_place.h"
#include "process/keeper/index_child.h"
#include "util/fdio.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_files, fixture_done)

static struct index_child child;
static struct index_child_bounds bounds;
static enum index_child_end ends[INDEX_CHILD_LAYERS_MAX];
static enum confined_end how;
static char why[ERR_MESSAGE_MAX], died[CONFINED_WHY_MAX];

static int
add(struct fixture *f, const struct digest *layer, uint64_t size, int file)
{
    struct blob_late blob = {.size = size, .fd = file};

    return index_child_add(&child, &f->reg, layer, &blob, &f->err);
}

/* Adds a layer of one file to the child. */
static struct digest
add_tar(struct fixture *f, const char *line)
{
    struct digest layer;
    struct buf tar;

    buf_init(&tar, 1 << 20);
    layers_put_line(&tar, line);
    layers_put_end(&tar);
    digest_of(&layer, DIGEST_SHA256, buf_bytes(&tar));
    OK(f, add(f, &layer, tar.n, layers_file(buf_bytes(&tar))));
    buf_free(&tar);
    return layer;
}

static void
begin(void)
{
    bounds = (struct index_child_bounds){
        .scan = layer_scan_defaults,
        .child = {.memory = (uint64_t)8 << 30, .seconds = 10, .background = true},
        .memory_text = "8 GiB"};
    index_child_init(&child);
}

/* Starts it and waits for its end. */
static void
run(struct fixture *f, void (*meanwhile)(void))
{
    struct pollfd ended;

    OK(f, index_child_start(&child, &f->reg, &bounds, &f->err));
    if (meanwhile != NULL)
        meanwhile();
    ended = (struct pollfd){.fd = child.process.ended, .events = POLLIN};
    assert_int_equal(poll(&ended, 1, 60000), 1);
    assert_true(index_child_ended(&child, &how, died));
    for (size_t i = 0; i < child.n; i++)
        OK(f, index_child_take(&child, i, &f->reg, &bounds, how, died, &ends[i], why, &f->err));
}

static int
has_index(struct fixture *f, const struct digest *layer)
{
    struct layer_info info;

    return index_store_info(index_place(&f->reg), layer, &info, &f->err);
}

static void
all_get_their_index(void **state)
{
    struct fixture *f = *state;
    struct digest layers[3];

    begin();
    layers[0] = add_tar(f, "f one text");
    layers[1] = add_tar(f, "f two text");
    layers[2] = add_tar(f, "f three text");
    assert_true(index_child_has(&child, &layers[2]));
    run(f, NULL);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ends[i], INDEX_CHILD_DONE);
        assert_int_equal(has_index(f, &layers[i]), 1);
    }
    index_child_stop(&child);
    assert_false(index_child_has(&child, &layers[2]));
}

/* A directory can't be read like a file, which is no fault of the layers around it. */
static void
one_that_cant_be_read_fails_alone(void **state)
{
    struct fixture *f = *state;
    struct digest good, bad = {.algo = DIGEST_SHA256, .bytes = {1}}, later;

    begin();
    good = add_tar(f, "f one text");
    OK(f, add(f, &bad, 10, open(".", O_RDONLY | O_CLOEXEC)));
    later = add_tar(f, "f three text");
    run(f, NULL);
    assert_int_equal(ends[0], INDEX_CHILD_DONE);
    assert_int_equal(ends[1], INDEX_CHILD_FAILED);
    assert_int_equal(ends[2], INDEX_CHILD_LEFT);
    assert_int_equal(has_index(f, &good), 1);
    assert_int_equal(has_index(f, &bad), 0);
    assert_int_equal(has_index(f, &later), 0);
    index_child_stop(&child);
}

#ifndef __SANITIZE_ADDRESS__
/* xz of 600 bytes, whose header asks for a window of 1.5 GiB. */
static const char wide[] = "\xfd\x37\x7a\x58\x5a\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01"
                           "\x25\x00\x00\x00\x3b\x78\x7b\x41\xe0\x02\x57\x00\x0a\x5d\x00\x3c"
                           "\x6f\xfb\xbf\xfe\x78\xf8\x0a\x6b\x00\x00\x00\x00\xd2\x14\x9f\xdf"
                           "\x00\x01\x22\xd8\x04\x00\x00\x00\x2f\xd3\xd6\xbf\x3e\x30\x0d\x8b"
                           "\x02\x00\x00\x00\x00\x01\x59\x5a";

/* A layer is not blamed for the memory that earlier layers used. */
static void
only_the_first_one_is_blamed(void **state)
{
    struct index_child alone;
    struct fixture *f = *state;
    struct digest layer;
    struct buf magic;

    begin();
    bounds.scan.memory = (size_t)4 << 30;
    bounds.child.memory = UINT64_C(400) << 20;
    add_tar(f, "f one text");
    buf_init(&magic, sizeof wide);
    buf_put(&magic, wide, sizeof wide - 1);
    layer = (struct digest){.algo = DIGEST_SHA256, .bytes = {2}};
    OK(f, add(f, &layer, magic.n, layers_file(buf_bytes(&magic))));
    buf_free(&magic);
    run(f, NULL);
    assert_int_equal(ends[0], INDEX_CHILD_DONE);
    assert_int_equal(how, CONFINED_GREEDY);
    assert_int_equal(ends[1], INDEX_CHILD_ALONE);
    assert_int_equal(has_index(f, &layer), 0);
    OK(f, index_child_retry(&alone, &child, 1, &f->reg, &bounds, &f->err));
    index_child_stop(&child);
    child = alone;
    {
        struct pollfd ended = {.fd = child.process.ended, .events = POLLIN};
        assert_int_equal(poll(&ended, 1, 60000), 1);
    }
    assert_true(index_child_ended(&child, &how, died));
    OK(f, index_child_take(&child, 0, &f->reg, &bounds, how, died, &ends[0], why, &f->err));
    assert_int_equal(ends[0], INDEX_CHILD_DONE);
    assert_int_equal(has_index(f, &layer), 1);
    index_child_stop(&child);
}
#endif

static void
recall(void)
{
    index_child_recall(&child);
}

static void
what_is_not_begun_can_be_taken_back(void **state)
{
    struct fixture *f = *state;
    size_t n;

    begin();
    while (index_child_has_room(&child, 2048))
        add_tar(f, arena_printf(&f->arena, "f file%zu text", child.n));
    assert_int_equal(child.n, INDEX_CHILD_LAYERS_MAX);
    run(f, recall);
    n = child.n;
    assert_in_range(n, 1, INDEX_CHILD_LAYERS_MAX);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(ends[i], INDEX_CHILD_DONE);
    index_child_stop(&child);
}

static void
only_small_layers_share_a_child(void **state)
{
    struct fixture *f = *state;

    begin();
    assert_true(index_child_has_room(&child, UINT64_MAX));
    add_tar(f, "f one text");
    assert_true(index_child_has_room(&child, INDEX_CHILD_SMALL));
    assert_false(index_child_has_room(&child, INDEX_CHILD_SMALL + 1));
    child.bytes = INDEX_CHILD_BYTES_MAX - 1;
    assert_true(index_child_has_room(&child, 1));
    assert_false(index_child_has_room(&child, 2));
    child.layers[0].blob.size = INDEX_CHILD_SMALL + 1;
    assert_false(index_child_has_room(&child, 1));
    index_child_stop(&child);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_get_their_index),
        TEST(one_that_cant_be_read_fails_alone),
#ifndef __SANITIZE_ADDRESS__
        TEST(only_the_first_one_is_blamed),
#endif
        TEST(what_is_not_begun_can_be_taken_back),
        TEST(only_small_layers_share_a_child),
    };
    return cmocka_run_group_tests_name("index_child", tests, NULL, NULL);
}
