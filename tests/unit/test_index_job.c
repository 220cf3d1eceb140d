/* From pushes to jobs, and from jobs to the event that tells of the index. */
#include "store_fixture.h"
#include "v1_images.h"
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "domain/core/delete.h"
#include "domain/events/event.h"
#include "domain/inside/index_job.h"
#include "domain/events/outbox.h"
#include "domain/core/store.h"
#include "storage/tables/tbl_event.h"
#include "util/clock.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begun, fixture_done)
#define ROOM 16

static int
fixture_begun(void **state)
{
    struct fixture *f;

    if (fixture_store(state) != 0)
        return -1;
    f = *state;
    return store_begin(&f->reg, &f->err);
}

/* An image of one layer, pushed; its config. */
static struct digest
push_image(struct fixture *f, const char *repository, const char *layer, struct push *p)
{
    char one[DIGEST_TEXT_MAX], two[DIGEST_TEXT_MAX];
    struct digest config = fixture_blob(f, repository, "{\"rootfs\":{}}");
    struct digest blob = fixture_blob(f, repository, layer);

    digest_text(one, &config);
    digest_text(two, &blob);
    OK(f,
       fixture_push(f, repository, "latest",
                    arena_printf(&f->arena,
                                 "{\"schemaVersion\":2,\"config\":{\"mediaType\":"
                                 "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\","
                                 "\"size\":1},\"layers\":[{\"mediaType\":"
                                 "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
                                 "\"size\":1}]}",
                                 one, two),
                    OCI_IMAGE, p));
    return config;
}

/* Puts jobs for what was pushed, as the keeper does; what there is then. */
static size_t
taken(struct fixture *f, enum job_kind kind, struct index_job *v)
{
    struct index_job_list l = {.v = v, .room = ROOM};
    uint32_t mark;
    bool more = true;

    OK(f, outbox_indexed(&f->reg, &mark, &f->err));
    while (more)
        OK(f, index_job_take(&f->reg, &mark, &more, &f->err));
    fixture_forward_ms(10); /* those that were moved by a millisecond are due as well */
    OK(f, index_job_list(&f->reg, kind, &l, &f->err));
    assert_false(l.more);
    return l.n;
}

struct indexed {
    size_t n;
    struct rec_event last;
};

static int
see(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    struct indexed *x = arg;

    (void)seq;
    (void)err;
    if (r->type != EVENT_INDEX)
        return 0;
    x->n++;
    x->last = *r;
    return 0;
}

static struct indexed
indexed(struct fixture *f)
{
    struct indexed x = {.n = 0};

    OK(f, tbl_event_each(kv_reads(f->reg.kv), 0, see, &x, &f->err));
    return x;
}

static void
end(struct fixture *f, const struct index_job *j, const struct digest *id)
{
    struct index_job_end x = {*j, *id};

    OK(f, index_job_done(&f->reg, &x, 1, &f->err));
}

static void
a_pushed_image_is_told_of_once(void **state)
{
    struct fixture *f = *state;
    struct index_job v[ROOM];
    struct index_job_image image;
    struct push p;
    struct digest config = push_image(f, "a/b", "layer", &p), layer = fixture_digest("layer");
    struct indexed x;

    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 1);
    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 1); /* the mark was kept */
    assert_int_equal(index_job_image(&f->reg, &v[0], &f->arena, &image, &f->err), 1);
    assert_true(digest_equal(&image.id, &config));
    assert_int_equal(image.layers_n, 1);
    assert_true(digest_equal(&image.layers[0], &layer));
    assert_int_equal(indexed(f).n, 0);
    end(f, &v[0], &image.id);
    end(f, &v[0], &image.id);
    x = indexed(f);
    assert_int_equal(x.n, 1);
    assert_true(digest_equal(&x.last.id, &config));
    assert_true(digest_equal(&x.last.digest, &p.digest));
    assert_string_equal(x.last.repository, "a/b");
    assert_string_equal(x.last.actor, "alice");
    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 0);
}

static void
only_what_is_new_and_an_image_has_a_job(void **state)
{
    struct fixture *f = *state;
    struct index_job v[ROOM];
    struct digest config = fixture_blob(f, "a/b", "config"), layer = fixture_blob(f, "a/b", "l");
    struct push p;

    OK(f, fixture_push(f, "a/b", NULL, fixture_image(f, &config, &layer, ""), OCI_IMAGE, &p));
    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 0); /* an artifact, by its config */
    push_image(f, "a/b", "layer", &p);
    push_image(f, "a/b", "layer", &p); /* only its tag is new */
    OK(f, fixture_push(f, "a/b", NULL, fixture_index(f, &p.digest), OCI_INDEX, &p));
    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 1);
}

static void
the_same_image_has_a_job_in_each_repository(void **state)
{
    struct fixture *f = *state;
    struct index_job v[ROOM];
    struct push p;

    push_image(f, "a/b", "layer", &p);
    push_image(f, "c/d", "layer", &p);
    push_image(f, "e/f", "layer", &p);
    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 3); /* all in one transaction */
}

static void
what_is_gone_has_no_layers(void **state)
{
    static const struct actor alice = {.user = "alice", .address = "192.0.2.1"};
    struct fixture *f = *state;
    struct index_job v[ROOM];
    struct index_job_image image;
    struct push p;

    push_image(f, "a/b", "layer", &p);
    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 1);
    OK(f, delete_manifest(&f->reg, "a/b", &p.digest, NULL, &alice, &f->arena, &f->err));
    assert_int_equal(index_job_image(&f->reg, &v[0], &f->arena, &image, &f->err), 0);
    OK(f, index_job_drop(&f->reg, &v[0], &f->err));
    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 0);
    assert_int_equal(indexed(f).n, 0);
}

static void
an_image_of_the_first_api_has_those_of_its_chain(void **state)
{
    struct fixture *f = *state;
    struct digest base = fixture_digest("one"), top = fixture_digest("two"), id = v1_id(2);
    struct index_job v[ROOM];
    struct index_job_image image;
    struct indexed x;

    v1_push(f, 1, 0, "one");
    v1_push(f, 2, 1, "two");
    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 2);
    for (size_t i = 0; i < 2; i++)
        if (digest_equal(&v[i].job.digest, &id))
            v[0] = v[i];
    assert_int_equal(index_job_image(&f->reg, &v[0], &f->arena, &image, &f->err), 1);
    assert_int_equal(image.layers_n, 2);
    assert_true(digest_equal(&image.layers[0], &top));
    assert_true(digest_equal(&image.layers[1], &base));
    end(f, &v[0], &image.id);
    x = indexed(f);
    assert_true(digest_equal(&x.last.id, &id));
    assert_string_equal(x.last.repository, "");
}

static void
an_image_waits_for_its_parents_layer(void **state)
{
    struct fixture *f = *state;
    struct index_job v[ROOM];
    struct index_job_image image;

    OK(f, v1_put_json(f, 1, 0));
    OK(f, v1_put_json(f, 2, 1));
    OK(f, v1_put_layer(f, 2, "two"));
    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 1);
    REFUSED(f, index_job_image(&f->reg, &v[0], &f->arena, &image, &f->err), ERR_NO_IMAGE);
    OK(f, v1_put_layer(f, 1, "one"));
    assert_int_equal(index_job_image(&f->reg, &v[0], &f->arena, &image, &f->err), 1);
}

static int
put_one_job(struct txn *t, void *arg, struct err *err)
{
    const struct index_job *j = arg;

    return tbl_job_put(t, &j->job, &j->record, err);
}

/* Puts n jobs of a repository and a user. */
static void
put_jobs(struct fixture *f, unsigned n, const char *repository, const char *by)
{
    for (unsigned i = 0; i < n; i++) {
        char text[64];
        struct index_job j = {.job = {.kind = JOB_INDEX_IMAGE, .due = 1000 + i}};

        snprintf(text, sizeof text, "%s %s %u", repository, by, i);
        j.job.digest = fixture_digest(text);
        snprintf(j.record.repository, sizeof j.record.repository, "%s", repository);
        snprintf(j.record.by, sizeof j.record.by, "%s", by);
        OK(f, txn_run(f->reg.kv, put_one_job, &j, &f->err));
    }
}

static size_t
of_repository(const struct index_job_list *l, const char *repository)
{
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        n += strcmp(l->v[i].record.repository, repository) == 0;
    return n;
}

static void
those_with_many_jobs_leave_room(void **state)
{
    struct fixture *f = *state;
    struct index_job v[8];
    struct index_job_list l = {.v = v, .room = 8};

    put_jobs(f, 50, "costly/a", "mallory");
    OK(f, index_job_list(&f->reg, JOB_INDEX_IMAGE, &l, &f->err));
    assert_int_equal(l.n, 4);
    assert_true(l.more);
    assert_int_equal(v[0].job.due, 1000);
    put_jobs(f, 50, "costly/b", "mallory");
    OK(f, index_job_list(&f->reg, JOB_INDEX_IMAGE, &l, &f->err));
    assert_int_equal(l.n, 8);
    assert_int_equal(of_repository(&l, "costly/b"), 4);
    /* The caller's are left alone: there is no room until one of them has been done. */
    put_jobs(f, 1, "small", "bob");
    OK(f, index_job_list(&f->reg, JOB_INDEX_IMAGE, &l, &f->err));
    assert_int_equal(of_repository(&l, "small"), 0);
    assert_true(l.more);
    l.n = 7;
    OK(f, index_job_list(&f->reg, JOB_INDEX_IMAGE, &l, &f->err));
    assert_int_equal(of_repository(&l, "small"), 1);
    l.n = 0;
    OK(f, index_job_list(&f->reg, JOB_INDEX_IMAGE, &l, &f->err));
    assert_int_equal(l.n, 8);
    assert_int_equal(of_repository(&l, "small"), 1);
}

static void
a_user_with_many_repositories_leaves_room(void **state)
{
    struct fixture *f = *state;
    struct index_job v[8];
    struct index_job_list l = {.v = v, .room = 8};
    char name[32];

    for (unsigned i = 0; i < 30; i++) {
        snprintf(name, sizeof name, "costly/%u", i);
        put_jobs(f, 1, name, "mallory");
    }
    put_jobs(f, 3, "small", "bob");
    OK(f, index_job_list(&f->reg, JOB_INDEX_IMAGE, &l, &f->err));
    assert_int_equal(l.n, 8);
    assert_int_equal(of_repository(&l, "small"), 3);
    assert_true(l.more);
}

static void
a_job_can_wait(void **state)
{
    struct fixture *f = *state;
    struct index_job v[ROOM];
    struct index_job_list l = {.v = v, .room = ROOM};
    struct push p;
    uint64_t due;

    push_image(f, "a/b", "layer", &p);
    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 1);
    due = clock_wall_ms() + 60000;
    OK(f, index_job_postpone(&f->reg, &v[0], due, &f->err));
    OK(f, index_job_list(&f->reg, JOB_INDEX_IMAGE, &l, &f->err));
    assert_int_equal(l.n, 0);
    assert_int_equal(l.next_due, due);
    fixture_forward_ms(61000);
    OK(f, index_job_list(&f->reg, JOB_INDEX_IMAGE, &l, &f->err));
    assert_int_equal(l.n, 1);
    assert_int_equal(v[0].record.tries, 1);
    assert_string_equal(v[0].record.repository, "a/b");
}

static void
many_wait_for_a_layer_and_there_is_one_job(void **state)
{
    struct fixture *f = *state;
    struct digest one = fixture_digest("1"), two = fixture_digest("2");
    int poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct index_job v[ROOM];
    uint64_t pokes = 0;

    f->reg.poke = &poke;
    OK(f, index_job_demand(&f->reg, &one, "a/b", &f->err));
    OK(f, index_job_demand(&f->reg, &two, NULL, &f->err));
    OK(f, index_job_demand(&f->reg, &one, "a/c", &f->err));
    assert_int_equal(read(poke, &pokes, sizeof pokes), sizeof pokes);
    assert_int_equal(pokes, 3);
    assert_int_equal(taken(f, JOB_INDEX, v), 2);
    assert_true(index_job_is_waited_for(&v[0]));
    assert_false(index_job_is_waited_for(&v[1]));
    assert_true(digest_equal(&v[0].job.digest, &one));
    OK(f, index_job_drop(&f->reg, &v[0], &f->err));
    assert_int_equal(taken(f, JOB_INDEX, v), 1);
    close(poke);
}

static bool
tells_of_an_image(struct fixture *f)
{
    struct outbox_event v[ROOM];
    bool any = false;
    size_t n;

    OK(f, outbox_read(&f->reg, 0, v, ROOM, &n, &f->err));
    for (size_t i = 0; i < n; i++)
        any = any || v[i].event.type == EVENT_IMAGE;
    return any;
}

static void
events_stay_until_their_jobs_are_put(void **state)
{
    struct fixture *f = *state;
    struct index_job v[ROOM];
    struct push p;

    push_image(f, "a/b", "layer", &p);
    fixture_forward_ms(120000);
    OK(f, outbox_marks_save(&f->reg, &(struct outbox_marks){.told = 99, .queued = 99}, &f->err));
    OK(f, event_trim(&f->reg, 60000, EVENT_KEPT_MAX, &f->err));
    assert_true(tells_of_an_image(f));
    assert_int_equal(taken(f, JOB_INDEX_IMAGE, v), 1);
    OK(f, event_trim(&f->reg, 60000, EVENT_KEPT_MAX, &f->err));
    assert_false(tells_of_an_image(f));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pushed_image_is_told_of_once),
        TEST(only_what_is_new_and_an_image_has_a_job),
        TEST(the_same_image_has_a_job_in_each_repository),
        TEST(what_is_gone_has_no_layers),
        TEST(an_image_of_the_first_api_has_those_of_its_chain),
        TEST(an_image_waits_for_its_parents_layer),
        TEST(those_with_many_jobs_leave_room),
        TEST(a_user_with_many_repositories_leaves_room),
        TEST(a_job_can_wait),
        TEST(many_wait_for_a_layer_and_there_is_one_job),
        TEST(events_stay_until_their_jobs_are_put),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
