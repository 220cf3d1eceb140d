/* Random stores and rules: a dry run, a real one, and a model in this file that knows nothing of
 * theirs agree about each tag. */
#include "store_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "domain/core/delete.h"
#include "domain/core/repository.h"
#include "domain/retention/last_pull.h"
#include "domain/retention/pull_memory.h"
#include "domain/retention/retain_walk.h"
#include "storage/tables/tbl_tag.h"
#include "util/clock.h"

#define REPOSITORIES 4
#define IMAGES 5
#define PLAIN 12
#define TAGS (PLAIN + IMAGES) /* and a signature for each image */
#define ROUNDS 60

/* Times move by whole steps, and rules have a half, so nothing depends on the time that the test
 * takes. */
#define STEP_S UINT64_C(10000)

struct model_tag {
    char name[RECORD_TAG_MAX + 1];
    bool there, stays;
    unsigned image;
    uint64_t updated, pulled;
};

struct model_repository {
    char name[32];
    uint64_t id;
    struct digest images[IMAGES];
    const char *documents[IMAGES];
    uint64_t pulled[IMAGES]; /* by digest */
    bool image_stays[IMAGES];
    struct model_tag tags[TAGS];
    /* its rule */
    bool ruled, all, matches;
    unsigned last, younger, pulled_within; /* in steps; 0: no such clause */
};

static struct model_repository model[REPOSITORIES];
static struct pull_memory memory;
static unsigned seed;

static unsigned
pick(unsigned n)
{
    seed = seed * 1103515245u + 12345u;
    return (seed >> 8) % n;
}

/* ---- the store ---- */

static void
begin_model_repository(struct fixture *f, struct model_repository *r, unsigned number)
{
    struct digest config, layer;
    struct rec_repo repo;
    struct push p;

    *r = (struct model_repository){.ruled = false};
    snprintf(r->name, sizeof r->name, "r%u", number);
    layer = fixture_blob(f, r->name, "layer");
    for (unsigned i = 0; i < IMAGES; i++) {
        char text[32];

        snprintf(text, sizeof text, "config %u of %u", i, number);
        config = fixture_blob(f, r->name, text);
        r->documents[i] = fixture_image(f, &config, &layer, "");
        OK(f, fixture_push(f, r->name, NULL, r->documents[i], OCI_IMAGE, &p));
        r->images[i] = p.digest;
    }
    for (unsigned i = 0; i < TAGS; i++) {
        char hex[DIGEST_TEXT_MAX];

        if (i < PLAIN)
            snprintf(r->tags[i].name, sizeof r->tags[i].name, "%c%u", "abv"[i % 3], i);
        else {
            digest_hex(hex, &r->images[i - PLAIN]);
            snprintf(r->tags[i].name, sizeof r->tags[i].name, "sha256-%.64s%s", hex,
                     i % 2 == 0 ? ".sig" : "");
        }
    }
    assert_int_equal(repository_find(&f->reg, r->name, &repo, &f->err), 1);
    r->id = repo.id;
}

static void
push_at_random(struct fixture *f, struct model_repository *r)
{
    struct model_tag *tag = &r->tags[pick(TAGS)];
    struct rec_tag record;
    struct push p;

    tag->image = pick(IMAGES);
    OK(f, fixture_push(f, r->name, tag->name, r->documents[tag->image], OCI_IMAGE, &p));
    assert_int_equal(tbl_tag_get(kv_reads(f->reg.kv), r->id, tag->name, &record, &f->err), 1);
    if (!tag->there)
        tag->pulled = 0;
    tag->there = true;
    tag->updated = record.updated;
}

static void
pull_at_random(struct fixture *f, struct model_repository *r)
{
    struct model_tag *tag = &r->tags[pick(PLAIN)];
    unsigned image = pick(IMAGES);
    char text[DIGEST_TEXT_MAX];

    if (pick(2) == 0) {
        digest_text(text, &r->images[image]);
        last_pull_note(&f->reg, r->id, text);
        r->pulled[image] = clock_wall_ms();
    } else if (tag->there) {
        last_pull_note(&f->reg, r->id, tag->name);
        tag->pulled = clock_wall_ms();
    }
    OK(f, last_pull_flush(&f->reg, &f->err));
}

static void
write_random_rule(struct model_repository *r, struct buf *text)
{
    const char *comma = "";

    r->ruled = pick(6) > 0;
    r->all = pick(6) == 0;
    r->last = pick(2) * pick(6);
    r->younger = pick(3) == 0 ? pick(20) : 0;
    r->pulled_within = pick(3) == 0 ? pick(20) : 0;
    r->matches = pick(3) == 0;
    if (!r->ruled)
        return;
    if (!r->all && r->last + r->younger + r->pulled_within + r->matches == 0)
        r->last = 1;
    buf_putf(text, "%s keep ", r->name);
    if (r->all)
        buf_puts(text, "all");
    else {
        if (r->last > 0)
            buf_putf(text, "last %u", r->last);
        comma = r->last > 0 ? ", " : "";
        if (r->younger > 0)
            buf_putf(text, "%syounger %llu", comma,
                     (unsigned long long)(r->younger * STEP_S - STEP_S / 2));
        comma = r->last + r->younger > 0 ? ", " : "";
        if (r->pulled_within > 0)
            buf_putf(text, "%spulled %llu", comma,
                     (unsigned long long)(r->pulled_within * STEP_S - STEP_S / 2));
        comma = r->last + r->younger + r->pulled_within > 0 ? ", " : "";
        if (r->matches)
            buf_putf(text, "%smatch v*", comma);
    }
    buf_putc(text, '\n');
}

/* ---- what the model says ---- */

static bool
is_recent(uint64_t time, unsigned steps)
{
    return steps > 0 && time + (steps * STEP_S - STEP_S / 2) * 1000 >= clock_wall_ms();
}

static bool
plain_tag_stays(const struct model_repository *r, const struct model_tag *tag)
{
    unsigned newer = 0;

    for (unsigned i = 0; i < PLAIN; i++) {
        const struct model_tag *other = &r->tags[i];

        newer += other->there &&
                 (other->updated > tag->updated ||
                  (other->updated == tag->updated && strcmp(other->name, tag->name) > 0));
    }
    return newer < r->last || is_recent(tag->updated, r->younger) ||
           (r->matches && tag->name[0] == 'v') || is_recent(tag->updated, r->pulled_within) ||
           is_recent(tag->pulled, r->pulled_within) ||
           is_recent(r->pulled[tag->image], r->pulled_within);
}

static void
judge_by_model(struct fixture *f, struct model_repository *r)
{
    bool more = true;

    for (unsigned i = 0; i < IMAGES; i++)
        r->image_stays[i] = false;
    for (unsigned i = 0; i < PLAIN; i++) {
        struct model_tag *tag = &r->tags[i];

        tag->stays = !r->ruled || r->all || plain_tag_stays(r, tag);
        if (tag->there && tag->stays)
            r->image_stays[tag->image] = true;
    }
    while (more) { /* a signature of what stays names something that stays */
        more = false;
        for (unsigned i = PLAIN; i < TAGS; i++)
            if (r->tags[i].there && r->image_stays[i - PLAIN] && !r->image_stays[r->tags[i].image])
                r->image_stays[r->tags[i].image] = more = true;
    }
    for (unsigned i = PLAIN; i < TAGS; i++)
        r->tags[i].stays = !r->ruled || r->all || r->image_stays[i - PLAIN] ||
                           r->tags[i].updated + f->reg.lease_ms >= clock_wall_ms();
}

/* ---- the walks ---- */

struct outcome {
    bool goes[REPOSITORIES][TAGS];
    unsigned seen[REPOSITORIES][TAGS], whole[REPOSITORIES];
};

static int
note_outcome(const struct retain_result *result, void *arg, struct err *err)
{
    struct outcome *o = arg;
    unsigned n = (unsigned)(result->repository[1] - '0');

    assert_in_range(n, 0, REPOSITORIES - 1);
    assert_int_not_equal(result->why, RETAIN_MOVED);
    assert_int_not_equal(result->why, RETAIN_REFUSED);
    if (*result->tag == '\0') {
        o->whole[n]++;
        return 0;
    }
    for (unsigned i = 0; i < TAGS; i++)
        if (strcmp(model[n].tags[i].name, result->tag) == 0) {
            o->goes[n][i] = result->why == RETAIN_GOES;
            o->seen[n][i]++;
            return 0;
        }
    return err_set(err, ERR_SYSTEM, "there is no tag %s", result->tag);
}

static void
walk_store(struct fixture *f, const char *text, bool dry_run, struct outcome *o)
{
    static struct retain_walk walk;
    struct retain_rules rules;
    int rc;

    *o = (struct outcome){.whole = {0}};
    OK(f, retain_rules_parse(&rules, bytes_str(text), "rules", &f->err));
    retain_walk_begin(&walk, &f->reg, "");
    walk.dry_run = dry_run;
    walk.fn = note_outcome;
    walk.arg = o;
    while ((rc = retain_walk_step(&walk, &rules, &f->err)) == 1)
        continue;
    OK(f, rc);
    retain_walk_end(&walk);
    retain_rules_free(&rules);
}

static void
compare_with_model(const struct outcome *o, const char *what, const char *rules)
{
    for (unsigned n = 0; n < REPOSITORIES; n++)
        for (unsigned i = 0; i < TAGS; i++) {
            const struct model_repository *r = &model[n];
            const struct model_tag *tag = &r->tags[i];
            bool expected = tag->there && !tag->stays;

            if (o->goes[n][i] != expected)
                fail_msg("%s: %s:%s %s; rules:\n%s", what, r->name, tag->name,
                         expected ? "should go" : "should stay", rules);
            assert_int_equal(o->seen[n][i], tag->there && r->ruled && !r->all);
            assert_int_equal(o->whole[n], !r->ruled || r->all);
        }
}

static void
settle_model(struct fixture *f)
{
    for (unsigned n = 0; n < REPOSITORIES; n++)
        for (unsigned i = 0; i < TAGS; i++) {
            struct model_tag *tag = &model[n].tags[i];
            struct rec_tag record;
            int rc = tbl_tag_get(kv_reads(f->reg.kv), model[n].id, tag->name, &record, &f->err);

            assert_int_equal(rc, tag->there && tag->stays);
            tag->there = tag->there && tag->stays;
        }
}

static void
dry_run_real_run_and_model_agree(void **state)
{
    struct fixture *f = *state;
    static struct outcome o;
    unsigned gone = 0;
    struct buf text;

    buf_init(&text, 10000);
    OK(f, last_pull_flush(&f->reg, &f->err));
    fixture_forward_ms(100 * STEP_S * 1000);
    for (unsigned n = 0; n < REPOSITORIES; n++)
        begin_model_repository(f, &model[n], n);
    for (seed = 1; seed < 1 + ROUNDS; seed++) {
        unsigned begin = seed;

        for (unsigned i = 0; i < 25; i++) {
            push_at_random(f, &model[pick(REPOSITORIES)]);
            if (pick(2) == 0)
                pull_at_random(f, &model[pick(REPOSITORIES)]);
            if (pick(2) == 0)
                fixture_forward_ms(STEP_S * 1000);
        }
        buf_reset(&text);
        for (unsigned n = 0; n < REPOSITORIES; n++) {
            write_random_rule(&model[n], &text);
            judge_by_model(f, &model[n]);
        }
        walk_store(f, buf_text(&text), true, &o);
        compare_with_model(&o, "dry run", buf_text(&text));
        walk_store(f, buf_text(&text), false, &o);
        compare_with_model(&o, "real run", buf_text(&text));
        for (unsigned n = 0; n < REPOSITORIES; n++)
            for (unsigned i = 0; i < TAGS; i++)
                gone += o.goes[n][i];
        settle_model(f);
        seed = begin;
    }
    assert_true(gone > ROUNDS * 4);
    buf_free(&text);
}

/* ---- many tags ---- */

static int
count_outcome(const struct retain_result *result, void *arg, struct err *err)
{
    unsigned *n = arg;

    (void)err;
    *n += result->why == RETAIN_GOES;
    return 0;
}

static void
more_tags_than_a_page_has(void **state)
{
    static struct retain_walk walk;
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "r", "config"), layer = fixture_blob(f, "r", "layer");
    const char *document = fixture_image(f, &config, &layer, "");
    struct retain_rules rules;
    unsigned gone = 0, steps = 0;
    struct rec_repo repo;
    struct rec_tag r;
    struct push p;
    char tag[16];
    int rc;

    for (unsigned i = 0; i < 3 * RETAIN_WALK_PAGE; i++) {
        snprintf(tag, sizeof tag, "t%03u", i * 7 % (3 * RETAIN_WALK_PAGE));
        OK(f, fixture_push(f, "r", tag, document, OCI_IMAGE, &p));
        fixture_forward_ms(1000);
    }
    OK(f, retain_rules_parse(&rules, bytes_str("r keep last 5"), "rules", &f->err));
    retain_walk_begin(&walk, &f->reg, "");
    walk.fn = count_outcome;
    walk.arg = &gone;
    while ((rc = retain_walk_step(&walk, &rules, &f->err)) == 1) {
        assert_true(gone <= ++steps * RETAIN_WALK_DELETES);
        if (steps == 12) { /* in the middle: the next ones stay */
            OK(f, fixture_push(f, "r", "t382", document, OCI_IMAGE, &p));
            OK(f, fixture_push(f, "r", "t383", document, OCI_IMAGE, &p));
        }
    }
    OK(f, rc);
    retain_walk_end(&walk);
    retain_rules_free(&rules);
    assert_int_equal(repository_find(&f->reg, "r", &repo, &f->err), 1);
    for (unsigned i = 3 * RETAIN_WALK_PAGE - 5; i < 3 * RETAIN_WALK_PAGE; i++) {
        snprintf(tag, sizeof tag, "t%03u", i * 7 % (3 * RETAIN_WALK_PAGE));
        assert_int_equal(tbl_tag_get(kv_reads(f->reg.kv), repo.id, tag, &r, &f->err), 1);
    }
    assert_int_equal(tbl_tag_get(kv_reads(f->reg.kv), repo.id, "t382", &r, &f->err), 1);
    assert_int_equal(tbl_tag_get(kv_reads(f->reg.kv), repo.id, "t383", &r, &f->err), 1);
    assert_in_range(gone, 3 * RETAIN_WALK_PAGE - 7, 3 * RETAIN_WALK_PAGE - 5);
}

static void
what_was_seen_differs_from_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "r", "config"), layer = fixture_blob(f, "r", "layer");
    const char *document = fixture_image(f, &config, &layer, "");
    struct rec_repo repo;
    struct rec_tag seen, other;
    struct push p;

    OK(f, fixture_push(f, "r", "t", document, OCI_IMAGE, &p));
    assert_int_equal(repository_find(&f->reg, "r", &repo, &f->err), 1);
    assert_int_equal(tbl_tag_get(kv_reads(f->reg.kv), repo.id, "t", &seen, &f->err), 1);
    fixture_forward_ms(1000);
    OK(f, fixture_push(f, "r", "t", document, OCI_IMAGE, &p));
    REFUSED(f, delete_tag_seen(&f->reg, "r", "t", &seen, &fixture_actor, &f->arena, &f->err),
            ERR_CONDITION);
    assert_int_equal(tbl_tag_get(kv_reads(f->reg.kv), repo.id, "t", &seen, &f->err), 1);
    other = seen;
    other.target = fixture_digest("another");
    REFUSED(f, delete_tag_seen(&f->reg, "r", "t", &other, &fixture_actor, &f->arena, &f->err),
            ERR_CONDITION);
    OK(f, delete_tag_seen(&f->reg, "r", "t", &seen, &fixture_actor, &f->arena, &f->err));
    REFUSED(f, delete_tag_seen(&f->reg, "r", "t", &seen, &fixture_actor, &f->arena, &f->err),
            ERR_NO_MANIFEST);
}

static int
setup_walk(void **state)
{
    struct fixture *f;

    if (fixture_store(state) != 0 || pull_memory_make(&memory, &(struct err){0}) != 0)
        return -1;
    f = *state;
    f->reg.pulls = &memory;
    return 0;
}

static int
end_walk(void **state)
{
    pull_memory_close(&memory);
    return fixture_done(state);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dry_run_real_run_and_model_agree, setup_walk, end_walk),
        cmocka_unit_test_setup_teardown(more_tags_than_a_page_has, setup_walk, end_walk),
        cmocka_unit_test_setup_teardown(what_was_seen_differs_from_what_is_there, setup_walk,
                                        end_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
