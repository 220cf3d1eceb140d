#include "store_fixture.h"
#include "store_place.h"
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "domain/core/count_limit.h"
#include "domain/core/delete.h"
#include "domain/core/repository.h"
#include "domain/core/upload.h"
#include "domain/core/upload_expiry.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tally.h"

static const struct actor alice = {.user = "alice", .address = "192.0.2.1"};
static const struct actor nobody = {.user = "", .address = "192.0.2.1"};
static const struct actor nobody_else = {.user = "", .address = "198.51.100.7"};

/* ---- what the tally says ---- */

static int
read_tally(struct txn *t, void *arg, struct err *err)
{
    struct {
        struct tally tally;
        uint64_t n;
    } *x = arg;

    x->n = 0;
    return tbl_tally_get_for_update(t, &x->tally, &x->n, err) < 0 ? -1 : 0;
}

static uint64_t
tally(struct fixture *f, enum tally_kind kind, uint64_t repo, const char *owner)
{
    struct {
        struct tally tally;
        uint64_t n;
    } x = {.tally = {.kind = kind, .repo = repo, .owner = owner}};

    fixture_run(f, read_tally, &x);
    return x.n;
}

static uint64_t
repository_id(struct fixture *f, const char *name)
{
    struct rec_repo repo;

    OK(f, repository_need(&f->reg, name, &repo, &f->err));
    return repo.id;
}

/* ---- repositories ---- */

static void
a_repository_too_many_is_refused(void **state)
{
    struct fixture *f = *state;
    struct rec_repo repo;

    f->reg.max_repositories = 2;
    OK(f, repository_ensure(&f->reg, "a", &repo, &f->err));
    OK(f, repository_ensure(&f->reg, "b", &repo, &f->err));
    OK(f, repository_ensure(&f->reg, "a", &repo, &f->err));
    REFUSED(f, repository_ensure(&f->reg, "c", &repo, &f->err), ERR_FULL);
    assert_non_null(strstr(f->err.message, "--max-repositories"));
    assert_int_equal(repository_find(&f->reg, "c", &repo, &f->err), 0);
    assert_int_equal(tally(f, TALLY_REPOSITORIES, 0, NULL), 2);
    f->reg.max_repositories = 0;
    OK(f, repository_ensure(&f->reg, "c", &repo, &f->err));
    assert_int_equal(tally(f, TALLY_REPOSITORIES, 0, NULL), 3);
}

/* ---- tags ---- */

static const char *
image(struct fixture *f, const char *repository, const char *text)
{
    struct digest config = fixture_blob(f, repository, text),
                  layer = fixture_blob(f, repository, "");

    return fixture_image(f, &config, &layer, "");
}

static int
push(struct fixture *f, const char *repository, const char *tag, const char *document)
{
    struct push p;

    return fixture_push(f, repository, tag, document, OCI_IMAGE, &p);
}

static void
a_tag_too_many_is_refused_until_one_goes(void **state)
{
    struct fixture *f = *state;
    const char *one = image(f, "a", "1"), *two = image(f, "a", "2");
    const char *other = image(f, "b", "1");
    struct digest d = fixture_digest(two);
    uint64_t a = repository_id(f, "a");

    f->reg.max_tags = 3;
    OK(f, push(f, "a", "t1", one));
    OK(f, push(f, "a", "t2", one));
    OK(f, push(f, "a", "t3", two));
    REFUSED(f, push(f, "a", "t4", one), ERR_FULL);
    assert_non_null(strstr(f->err.message, "--max-tags"));
    OK(f, push(f, "a", "t1", two)); /* it moves, and is none more */
    OK(f, push(f, "a", NULL, one)); /* no tag at all */
    OK(f, push(f, "b", "t4", other));
    assert_int_equal(tally(f, TALLY_TAGS, a, NULL), 3);

    OK(f, delete_tag(&f->reg, "a", "t2", NULL, &alice, &f->arena, &f->err));
    assert_int_equal(tally(f, TALLY_TAGS, a, NULL), 2);
    OK(f, push(f, "a", "t4", one));
    REFUSED(f, push(f, "a", "t5", one), ERR_FULL);
    OK(f, delete_manifest(&f->reg, "a", &d, NULL, &alice, &f->arena, &f->err)); /* t1 and t3 */
    assert_int_equal(tally(f, TALLY_TAGS, a, NULL), 1);
    OK(f, delete_tag(&f->reg, "a", "t4", NULL, &alice, &f->arena, &f->err));
    assert_int_equal(tally(f, TALLY_TAGS, a, NULL), 0);
    OK(f, push(f, "a", "t6", one));
    assert_int_equal(tally(f, TALLY_TAGS, a, NULL), 1);
    assert_int_equal(tally(f, TALLY_TAGS, repository_id(f, "b"), NULL), 1);
}

/* A transaction that puts several tags gets all of them, or none. */
static void
several_tags_at_once_are_all_counted(void **state)
{
    struct fixture *f = *state;
    static const char *const tags[] = {"t1", "t2", "t3"};
    const char *one = image(f, "a", "1");
    struct push p = {.repository = "a",
                     .tags = tags,
                     .tags_n = 3,
                     .document = bytes_str(one),
                     .content_type = OCI_IMAGE,
                     .actor = &alice,
                     .digest = fixture_digest(one)};
    uint64_t a = repository_id(f, "a");

    f->reg.max_tags = 2;
    REFUSED(f, push_manifest(&f->reg, &p, &f->arena, &f->err), ERR_FULL);
    assert_int_equal(tally(f, TALLY_TAGS, a, NULL), 0);
    f->reg.max_tags = 3;
    OK(f, push_manifest(&f->reg, &p, &f->arena, &f->err));
    assert_int_equal(tally(f, TALLY_TAGS, a, NULL), 3);
}

/* ---- uploads ---- */

static void
an_upload_too_many_is_refused_until_one_ends(void **state)
{
    struct fixture *f = *state;
    struct digest empty = fixture_digest(""), wrong = fixture_digest("wrong");
    struct upload_chunk nothing = {.body_file = ""};
    struct upload u[4];

    f->reg.max_uploads = 2;
    OK(f, upload_begin(&f->reg, "a", &alice, &u[0], &f->err));
    OK(f, upload_begin(&f->reg, "b", &alice, &u[1], &f->err));
    REFUSED(f, upload_begin(&f->reg, "a", &alice, &u[2], &f->err), ERR_TOO_MANY);
    assert_non_null(strstr(f->err.message, "--max-uploads"));
    OK(f, upload_begin(&f->reg, "a", &nobody, &u[2], &f->err));
    OK(f, upload_begin(&f->reg, "a", &nobody, &u[2], &f->err));
    REFUSED(f, upload_begin(&f->reg, "a", &nobody, &u[3], &f->err), ERR_TOO_MANY);
    OK(f, upload_begin(&f->reg, "a", &nobody_else, &u[3], &f->err));

    /* It may end in four ways. */
    OK(f, upload_cancel(&f->reg, &u[0], &f->err));
    OK(f, upload_begin(&f->reg, "a", &alice, &u[0], &f->err));
    OK(f, upload_finish(&f->reg, &u[1], &nothing, &empty, &f->err));
    OK(f, upload_begin(&f->reg, "a", &alice, &u[1], &f->err));
    REFUSED(f, upload_finish(&f->reg, &u[1], &nothing, &wrong, &f->err), ERR_DIGEST_MISMATCH);
    OK(f, upload_begin(&f->reg, "a", &alice, &u[1], &f->err));
    REFUSED(f, upload_begin(&f->reg, "a", &alice, &u[2], &f->err), ERR_TOO_MANY);
    assert_int_equal(tally(f, TALLY_UPLOADS, 0, "alice"), 2);
    fixture_forward_ms(2 * 3600 * 1000);
    OK(f, upload_expiry_run(&f->reg, &f->err));
    assert_int_equal(tally(f, TALLY_UPLOADS, 0, "alice"), 0);
    assert_int_equal(tally(f, TALLY_UPLOADS, 0, "192.0.2.1"), 0);
    OK(f, upload_begin(&f->reg, "a", &alice, &u[0], &f->err));
}

/* ---- many at once ---- */

static void
lost(const char *why)
{
    fprintf(stderr, "the store is lost: %s\n", why);
    _exit(70);
}

/* Takes what it gets of uploads and repositories; the exit code is how many of both. */
static void
greedy_child(struct fixture *f, int number)
{
    struct rec_repo repo;
    struct upload u;
    char name[20];
    int got = 0;

    f->reg.kv = kv_open(store_place(), tables, TABLE_COUNT, NULL, lost, &f->err);
    if (f->reg.kv == NULL)
        _exit(100);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "r%d-%d", number, i);
        if (repository_ensure(&f->reg, name, &repo, &f->err) == 0)
            got++;
        else if (f->err.code != ERR_FULL && f->err.code != ERR_BUSY)
            _exit(101);
        if (upload_begin(&f->reg, "shared", &alice, &u, &f->err) == 0)
            got++;
        else if (f->err.code != ERR_TOO_MANY && f->err.code != ERR_BUSY)
            _exit(102);
    }
    kv_close(f->reg.kv);
    _exit(got);
}

static void
many_at_once_never_get_more(void **state)
{
    struct fixture *f = *state;
    struct rec_repo repo;
    pid_t pids[4];
    int status, got = 0;

    OK(f, repository_ensure(&f->reg, "shared", &repo, &f->err));
    f->reg.max_repositories = 11;
    f->reg.max_uploads = 10;
    kv_close(f->reg.kv);
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            greedy_child(f, i);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) <= 40);
        got += WEXITSTATUS(status);
    }
    f->reg.kv = kv_open(store_place(), tables, TABLE_COUNT, NULL, lost, &f->err);
    assert_non_null(f->reg.kv);
    assert_int_equal(got, 20);
    assert_int_equal(tally(f, TALLY_REPOSITORIES, 0, NULL), 11);
    assert_int_equal(tally(f, TALLY_UPLOADS, 0, "alice"), 10);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(a_repository_too_many_is_refused),
        TEST(a_tag_too_many_is_refused_until_one_goes),
        TEST(several_tags_at_once_are_all_counted),
        TEST(an_upload_too_many_is_refused_until_one_ends),
        TEST(many_at_once_never_get_more),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
