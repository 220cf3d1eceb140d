/* The parts of an export, and its documents; tests/t/36x test the tar and its readers. */
#include "store_fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/core/blob.h"
#include "domain/core/delete.h"
#include "domain/transfer/export.h"
#include "domain/transfer/export_document.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_store, fixture_done)

static const struct actor alice = {.user = "alice", .address = "192.0.2.1"};

static bool
go_on(void *arg)
{
    (void)arg;
    return false;
}

static bool
stop(void *arg)
{
    (void)arg;
    return true;
}

static void
tell(void *arg, uint64_t done, uint64_t all)
{
    uint64_t *last = arg;
    assert_true(done >= *last && done <= all);
    *last = done;
}

/* An image with a tag (NULL: none); the number makes it another. */
static struct digest
image(struct fixture *f, const char *repository, const char *tag, unsigned number, const char *more)
{
    struct digest config = fixture_blob(f, repository, "config");
    struct digest layer = fixture_blob(f, repository, arena_printf(&f->arena, "layer %u", number));
    struct push p;
    OK(f, fixture_push(f, repository, tag, fixture_image(f, &config, &layer, more), OCI_IMAGE, &p));
    return p.digest;
}

static const char *
subject(struct fixture *f, const struct digest *d, unsigned number)
{
    char text[DIGEST_TEXT_MAX];
    digest_text(text, d);
    return arena_printf(&f->arena,
                        ",\"annotations\":{\"n\":\"%u\"},\"subject\":{\"mediaType\":\"" OCI_IMAGE
                        "\",\"digest\":\"%s\",\"size\":1}",
                        number, text);
}

static const struct reference *
tag(const char *name)
{
    static struct reference r;
    r = (struct reference){.tag = name};
    return &r;
}

static size_t
unnamed(const struct export_plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        n += p->items[i].repository != EXPORT_PLAN_BLOB && !p->items[i].named;
    return n;
}

static void
all_that_is_attached(void **state)
{
    struct fixture *f = *state;
    struct export_plan p;
    struct digest d = image(f, "a", "1", 0, ""), last = d;
    for (unsigned i = 0; i < 300; i++) /* several batches */
        last = image(f, "a", NULL, 0, subject(f, &d, i));
    for (unsigned i = 0; i < 20; i++) /* and each on the one before */
        last = image(f, "a", NULL, 0, subject(f, &last, i));
    image(f, "b", NULL, 0, subject(f, &d, 7777)); /* another repository's */
    export_plan_begin(&p, &f->reg);
    OK(f, export_plan_add(&p, "a", tag("1"), &f->err));
    REFUSED(f, export_plan_complete(&p, stop, NULL, &f->err), ERR_BUSY);
    OK(f, export_plan_complete(&p, go_on, NULL, &f->err));
    export_plan_sort(&p);
    assert_int_equal(p.n, 1 + 300 + 20 + 2);
    assert_int_equal(unnamed(&p), 320);
    assert_int_equal(p.tags_n, 1);
    for (size_t i = 1; i < p.n; i++)
        assert_true(digest_compare(&p.items[i - 1].digest, &p.items[i].digest) < 0);
    assert_true(export_plan_has(&p, &last));
    d = fixture_digest("nothing");
    assert_false(export_plan_has(&p, &d));
    export_plan_end(&p);
}

static void
all_tags_in_order(void **state)
{
    struct fixture *f = *state;
    struct export_plan p;
    struct digest config = fixture_blob(f, "a", "config"), layer = fixture_blob(f, "a", "layer");
    const char *document = fixture_image(f, &config, &layer, "");
    struct push push;
    for (unsigned i = 0; i < 1100; i++) /* several pages */
        OK(f, fixture_push(f, "a", arena_printf(&f->arena, "%u", i), document, OCI_IMAGE, &push));
    image(f, "b", "x", 1, "");
    export_plan_begin(&p, &f->reg);
    OK(f, export_plan_add(&p, "b", NULL, &f->err));
    OK(f, export_plan_add(&p, "a", NULL, &f->err));
    OK(f, export_plan_add(&p, "a", tag("77"), &f->err));
    OK(f, export_plan_complete(&p, go_on, NULL, &f->err));
    export_plan_sort(&p);
    assert_int_equal(p.tags_n, 1101);
    assert_string_equal(p.tags[0].tag, "0");
    assert_string_equal(p.tags[1].tag, "1");
    assert_string_equal(p.tags[2].tag, "10");
    assert_string_equal(p.tags[1100].tag, "x");
    export_plan_end(&p);
}

static void
no_more_than_the_maximum(void **state)
{
    struct fixture *f = *state;
    struct export_plan p;
    image(f, "a", "1", 1, "");
    for (size_t max = 0; max <= 3; max++) {
        export_plan_begin(&p, &f->reg);
        assert_int_equal(p.max, EXPORT_PLAN_MAX);
        p.max = max;
        if (max < 1) {
            REFUSED(f, export_plan_add(&p, "a", tag("1"), &f->err), ERR_TOO_MANY);
        } else {
            OK(f, export_plan_add(&p, "a", tag("1"), &f->err));
            if (max < 3)
                REFUSED(f, export_plan_complete(&p, go_on, NULL, &f->err), ERR_TOO_MANY);
            else
                OK(f, export_plan_complete(&p, go_on, NULL, &f->err));
        }
        export_plan_end(&p);
    }
}

static void
what_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct export_plan p;
    struct digest d = image(f, "a", "1", 1, "");
    export_plan_begin(&p, &f->reg);
    REFUSED(f, export_plan_add(&p, "no", NULL, &f->err), ERR_NO_REPOSITORY);
    REFUSED(f, export_plan_add(&p, "a", tag("2"), &f->err), ERR_NO_MANIFEST);
    OK(f, export_plan_add(&p, "a", tag("1"), &f->err));
    OK(f, delete_manifest(&f->reg, "a", &d, NULL, &alice, &f->arena, &f->err));
    REFUSED(f, export_plan_complete(&p, go_on, NULL, &f->err), ERR_NO_MANIFEST);
    export_plan_end(&p);
    export_plan_begin(&p, &f->reg);
    REFUSED(f, export_plan_add(&p, "a", NULL, &f->err), ERR_NO_MANIFEST);
    export_plan_end(&p);
}

static void
a_file_that_is_damaged_is_not_exported(void **state)
{
    struct fixture *f = *state;
    struct export_plan p;
    struct rec_blob r;
    uint64_t last = 0;
    char path[BLOB_FILE_PATH_MAX], whole[BLOB_FILE_PATH_MAX + 16];
    const struct export_to to = {.fd = open("out", O_WRONLY | O_CREAT | O_CLOEXEC, 0600),
                                 .what = "out",
                                 .is_over = go_on,
                                 .tell = tell,
                                 .arg = &last};
    image(f, "a", "1", 1, "");
    struct digest layer = fixture_digest("layer 1");
    assert_int_equal(fixture_blob_record(f, &layer, &r), 1);
    blob_file_path(path, &layer, r.instance);
    snprintf(whole, sizeof whole, "layers/%s", path);
    export_plan_begin(&p, &f->reg);
    OK(f, export_plan_add(&p, "a", tag("1"), &f->err));
    OK(f, export_plan_complete(&p, go_on, NULL, &f->err));
    export_plan_sort(&p);
    OK(f, export_write(&p, &to, &f->err));
    assert_true(last > 0);
    last = 0;
    OK(f, chmod(whole, 0600));
    OK(f, truncate(whole, 3));
    REFUSED(f, export_write(&p, &to, &f->err), ERR_CORRUPT);
    OK(f, unlink(whole));
    last = 0;
    assert_int_equal(export_write(&p, &to, &f->err), -1);
    close(to.fd);
    export_plan_end(&p);
}

static void
names_are_completed_as_docker_does(void **state)
{
    static const char *const names[][2] = {
        {"app", "docker.io/library/app"},
        {"my.app", "docker.io/library/my.app"},
        {"localhost", "docker.io/library/localhost"},
        {"team/app", "docker.io/team/app"},
        {"library/app", "docker.io/library/app"},
        {"a/b/c.d", "docker.io/a/b/c.d"},
        {"quay.io/app", "quay.io/app"},
        {"localhost/app", "localhost/app"},
        {"localhosts/app", "docker.io/localhosts/app"},
        {"local/app", "docker.io/local/app"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct buf full;
        buf_init(&full, 300);
        export_document_full_name(&full, names[i][0]);
        assert_string_equal(buf_text(&full), names[i][1]);
        buf_free(&full);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_that_is_attached),
        TEST(all_tags_in_order),
        TEST(no_more_than_the_maximum),
        TEST(what_is_not_there),
        TEST(a_file_that_is_damaged_is_not_exported),
        cmocka_unit_test(names_are_completed_as_docker_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
