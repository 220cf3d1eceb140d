/* Each rule of check_table.c: a good store has no findings; what breaks the rule is found; a repair
 * mends it, and a second check finds nothing. */
#include "check_fixture.h"
#include "v1_images.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/check/check.h"
#include "domain/check/check_table.h"
#include "domain/check/damage.h"
#include "domain/core/garbage.h"
#include "domain/core/quota.h"
#include "domain/core/repository.h"
#include "domain/core/upload.h"
#include "domain/inside/index_job.h"
#include "storage/files/blob_file.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_damage.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl_pull.h"
#include "storage/tables/tbl_quota.h"
#include "storage/tables/tbl_repo.h"
#include "storage/tables/tbl_repo_name.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tag_log.h"
#include "storage/tables/tbl_tally.h"
#include "storage/tables/tbl_trash.h"
#include "util/clock.h"

/* ---- what breaks a rule ---- */

#define BREAK(name) static int name(struct txn *t, void *arg, struct err *err)
#define STORE struct store *s = arg

static int
drop_edge(struct txn *t, struct edge e, struct err *err)
{
    WANT(tbl_edge_delete(t, &e, err) == 1);
    return 0;
}

BREAK(break_repo_name)
{
    STORE;
    return tbl_repo_name_drop(t, s->repo, err);
}

BREAK(break_repo_number)
{
    STORE;
    return tbl_meta_put(t, META_NEXT_REPO, s->repo, err);
}

BREAK(break_repo_count)
{
    const struct tally all = {.kind = TALLY_REPOSITORIES};

    (void)arg;
    return tbl_tally_put(t, &all, 0, err);
}

BREAK(break_name_without_repo)
{
    (void)arg;
    return tbl_repo_name_put(t, 99, "x/y", err);
}

BREAK(break_image_json)
{
    struct digest id = v1_id(1);

    (void)arg;
    return tbl_content_drop(t, &id, err);
}

BREAK(break_image_parent)
{
    struct digest id = v1_id(2);

    (void)arg;
    return tbl_image_drop(t, &id, err);
}

BREAK(break_image_layer)
{
    STORE;
    return tbl_blob_drop(t, &s->v1_layer, err);
}

BREAK(break_image_edge)
{
    STORE;
    return drop_edge(t, (struct edge){.to = s->v1_layer, .kind = EDGE_IMAGE, .from = v1_id(1)},
                     err);
}

static int
take_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    (void)r;
    (void)err;
    *(struct job *)arg = *j;
    return 1;
}

BREAK(break_no_job)
{
    struct job j;

    (void)arg;
    do {
        j.due = 0;
        if (tbl_job_each(t, JOB_COLLECT, take_job, &j, err) != 0 ||
            (j.due != 0 && tbl_job_drop(t, &j, err) != 0))
            return -1;
    } while (j.due != 0);
    return 0;
}

/* The record of the manifest, under another key. */
static int
copy_manifest(struct txn *t, struct store *s, uint64_t repo, const struct digest *made_from,
              struct err *err)
{
    struct rec_manifest r;

    WANT(tbl_manifest_get(t, s->repo, &s->manifest, &r, err) == 1);
    if (made_from != NULL)
        r.made_from = *made_from;
    return tbl_manifest_put(t, repo, &s->manifest, &r, err);
}

BREAK(break_manifest_repo)
{
    return copy_manifest(t, arg, 77, NULL, err);
}

BREAK(break_manifest_image)
{
    STORE;
    struct digest id = v1_id(9);
    struct edge made = {.to = id, .kind = EDGE_MADE, .repo = s->repo, .from = s->manifest};

    return copy_manifest(t, s, s->repo, &id, err) != 0 ? -1 : tbl_edge_put(t, &made, err);
}

BREAK(break_manifest_document)
{
    STORE;
    return tbl_content_put(t, &s->manifest, bytes_str("{}"), err);
}

BREAK(break_manifest_edge)
{
    STORE;
    return drop_edge(t, (struct edge){.to = s->manifest, .kind = EDGE_HELD, .repo = s->repo}, err);
}

BREAK(break_manifest_part)
{
    STORE;
    return tbl_blob_drop(t, &s->layer, err);
}

BREAK(break_manifest_right)
{
    STORE;
    return drop_edge(t, (struct edge){.to = s->config, .kind = EDGE_MEMBER, .repo = s->repo}, err);
}

BREAK(break_index_missing)
{
    STORE;
    struct edge id = {
        .to = s->config, .kind = EDGE_ID_PROVEN, .repo = s->repo, .from = s->manifest};

    id.to.algo = DIGEST_V1_ID;
    return tbl_edge_put(t, &id, err);
}

BREAK(break_trash_document)
{
    STORE;
    struct digest other = fixture_digest("other");
    struct rec_trash r = {.until = clock_wall_ms()};

    r.manifest.size = 5;
    return tbl_trash_put(t, s->repo, &other, &r, err);
}

BREAK(break_trash_edge)
{
    STORE;
    struct rec_trash r = {.until = clock_wall_ms()};

    WANT(tbl_manifest_get(t, s->repo, &s->manifest, &r.manifest, err) == 1);
    return tbl_trash_put(t, s->repo, &s->manifest, &r, err);
}

BREAK(break_document_unused)
{
    struct digest d = fixture_digest("nobody's");

    (void)arg;
    return tbl_content_put(t, &d, bytes_str("nobody's"), err);
}

static int
put_tag(struct txn *t, uint64_t repo, const struct digest *to, struct err *err)
{
    const struct rec_tag r = {.target = *to};
    const struct edge e = {.to = *to, .kind = EDGE_TAG, .repo = repo, .tag = "dead"};

    return tbl_tag_put(t, repo, "dead", &r, err) != 0 ? -1 : tbl_edge_put(t, &e, err);
}

BREAK(break_tag_repo)
{
    STORE;
    return put_tag(t, 77, &s->manifest, err);
}

BREAK(break_tag_target)
{
    STORE;
    struct digest d = fixture_digest("nothing");

    return put_tag(t, s->repo, &d, err);
}

BREAK(break_tag_edge)
{
    STORE;
    return drop_edge(
        t, (struct edge){.to = s->manifest, .kind = EDGE_TAG, .repo = s->repo, .tag = "v1"}, err);
}

BREAK(break_tag_count)
{
    STORE;
    const struct tally tags = {.kind = TALLY_TAGS, .repo = s->repo};

    return tbl_tally_put(t, &tags, 0, err);
}

BREAK(break_history_repo)
{
    struct rec_tag_log r = {.time = 1}, old;

    (void)arg;
    return tbl_tag_log_add(t, 77, "x", &r, &old, err);
}

static int
put_edge(struct txn *t, struct edge e, struct err *err)
{
    return tbl_edge_put(t, &e, err);
}

BREAK(break_edge_kind)
{
    STORE;
    return put_edge(t, (struct edge){.to = s->layer, .kind = (enum edge_kind)30, .repo = s->repo},
                    err);
}

BREAK(break_edge_tag)
{
    STORE;
    return put_edge(
        t, (struct edge){.to = s->manifest, .kind = EDGE_TAG, .repo = s->repo, .tag = "no"}, err);
}

BREAK(break_edge_manifest)
{
    STORE;
    return put_edge(
        t,
        (struct edge){
            .to = s->layer, .kind = EDGE_PART, .repo = s->repo, .from = fixture_digest("no")},
        err);
}

BREAK(break_edge_trash)
{
    STORE;
    return put_edge(t, (struct edge){.to = s->manifest, .kind = EDGE_TRASHED, .repo = s->repo},
                    err);
}

BREAK(break_edge_part)
{
    STORE;
    return put_edge(
        t, (struct edge){.to = s->lone, .kind = EDGE_PART, .repo = s->repo, .from = s->manifest},
        err);
}

BREAK(break_edge_image)
{
    STORE;
    return put_edge(t, (struct edge){.to = s->layer, .kind = EDGE_IMAGE, .from = v1_id(1)}, err);
}

BREAK(break_edge_made)
{
    STORE;
    return put_edge(
        t, (struct edge){.to = v1_id(1), .kind = EDGE_MADE, .repo = s->repo, .from = s->manifest},
        err);
}

BREAK(break_right_without_blob)
{
    STORE;
    return put_edge(
        t, (struct edge){.to = fixture_digest("no"), .kind = EDGE_MEMBER, .repo = s->repo}, err);
}

BREAK(break_blob_file)
{
    STORE;
    struct rec_blob r;

    WANT(tbl_blob_get(t, &s->layer, &r, err) == 1);
    return blob_file_unlink(s->f->reg.blobs, &s->layer, r.instance, err);
}

BREAK(break_blob_damaged)
{
    STORE;
    struct rec_damage r = {.state = DAMAGE_FOUND, .why = "a test"};
    struct rec_blob blob;

    WANT(tbl_blob_get(t, &s->layer, &blob, err) == 1);
    r.instance = blob.instance;
    return tbl_damage_put(t, &s->layer, &r, err);
}

BREAK(break_upload_count)
{
    const struct tally uploads = {.kind = TALLY_UPLOADS, .owner = fixture_actor.user};

    (void)arg;
    return tbl_tally_put(t, &uploads, 0, err);
}

BREAK(break_count)
{
    STORE;
    const struct tally tags = {.kind = TALLY_TAGS, .repo = s->repo};

    return tbl_tally_put(t, &tags, 17, err);
}

BREAK(break_history_job)
{
    STORE;
    struct edge e = {.to = s->manifest, .kind = EDGE_HISTORY, .repo = s->repo, .tag = "v1"};

    e.until = clock_wall_ms() + 3600 * 1000;
    return tbl_edge_put(t, &e, err);
}

BREAK(break_quota_mark)
{
    STORE;
    struct edge mark = {.to = s->layer, .kind = EDGE_COUNTED, .repo = s->repo};
    struct rec_quota r;

    mark.from = check_fixture_quotas.v[0].key;
    WANT(tbl_quota_get(t, &mark.from, &r, err) == 1);
    r.used -= strlen("a layer");
    return drop_edge(t, mark, err) != 0 ? -1 : tbl_quota_put(t, &mark.from, &r, err);
}

BREAK(break_edge_counted)
{
    STORE;
    struct edge mark = {.to = fixture_digest("no"), .kind = EDGE_COUNTED, .repo = s->repo};

    mark.from = check_fixture_quotas.v[1].key;
    return tbl_edge_put(t, &mark, err);
}

BREAK(break_quota_use)
{
    struct rec_quota r;

    (void)arg;
    WANT(tbl_quota_get(t, &check_fixture_quotas.v[1].key, &r, err) == 1 && r.used > 7);
    r.used -= 7;
    return tbl_quota_put(t, &check_fixture_quotas.v[1].key, &r, err);
}

BREAK(break_pull_target)
{
    STORE;
    const struct rec_pull r = {.last = 1};

    return tbl_pull_put(t, s->repo, "gone", &r, err);
}

BREAK(break_unreadable)
{
    (void)arg;
    return kv_put(t, TABLE_TAG, bytes_str("\0\0\0\0\0\0\0\1junk"), bytes_str("junk"), err);
}

static const struct damage {
    const char *kind;
    int (*fn)(struct txn *t, void *arg, struct err *err);
    bool stays; /* a repair doesn't mend it */
} damages[] = {
    {"repo-name", break_repo_name, false},
    {"repo-number", break_repo_number, false},
    {"repo-count", break_repo_count, false},
    {"name-without-repo", break_name_without_repo, false},
    {"image-json", break_image_json, true},
    {"image-parent", break_image_parent, true},
    {"image-layer", break_image_layer, false},
    {"image-edge", break_image_edge, false},
    {"no-job", break_no_job, false},
    {"manifest-repo", break_manifest_repo, false},
    {"manifest-document", break_manifest_document, false},
    {"manifest-edge", break_manifest_edge, false},
    {"manifest-part", break_manifest_part, false},
    {"manifest-right", break_manifest_right, false},
    {"manifest-image", break_manifest_image, true},
    {"index-missing", break_index_missing, false},
    {"trash-document", break_trash_document, false},
    {"trash-edge", break_trash_edge, false},
    {"document-unused", break_document_unused, false},
    {"tag-repo", break_tag_repo, false},
    {"tag-target", break_tag_target, false},
    {"tag-edge", break_tag_edge, false},
    {"tag-count", break_tag_count, false},
    {"history-repo", break_history_repo, false},
    {"edge-kind", break_edge_kind, false},
    {"edge-tag", break_edge_tag, false},
    {"edge-manifest", break_edge_manifest, false},
    {"edge-trash", break_edge_trash, false},
    {"edge-part", break_edge_part, false},
    {"edge-image", break_edge_image, false},
    {"edge-made", break_edge_made, false},
    {"right-without-blob", break_right_without_blob, false},
    {"blob-file", break_blob_file, false},
    {"blob-damaged", break_blob_damaged, false},
    {"upload-count", break_upload_count, false},
    {"count", break_count, false},
    {"history-job", break_history_job, false},
    {"quota-mark", break_quota_mark, false},
    {"edge-counted", break_edge_counted, false},
    {"quota-use", break_quota_use, false},
    {"pull-target", break_pull_target, false},
    {"unreadable", break_unreadable, false},
};

#define DAMAGES (sizeof damages / sizeof *damages)

/* ---- the tests ---- */

static void
a_good_store_has_no_findings(void **state)
{
    struct store s;

    check_fixture_fill(*state, &s);
    check_fixture_clean(*state, "pushes");
}

/* The manifest of a signature can name as its subject what is collected, or was never there. */
static void
a_referrer_keeps_its_edge_when_its_subject_is_collected(void **state)
{
    struct fixture *f = *state;
    char subject[300], text[DIGEST_TEXT_MAX];
    struct store s;
    struct push p;
    struct edge e;

    check_fixture_fill(f, &s);
    digest_text(text, &s.lone);
    snprintf(subject, sizeof subject,
             ",\"subject\":{\"mediaType\":\"" OCI_IMAGE "\",\"digest\":\"%s\",\"size\":1}", text);
    OK(f, fixture_push(f, "a/b", "sig2", fixture_image(f, &s.config, &s.layer, subject), OCI_IMAGE,
                       &p));
    fixture_forward_ms(2 * 3600 * 1000);
    assert_in_range(garbage_step(&f->reg, &f->err), 0, 1);
    assert_false(fixture_has_blob(f, "a/b", &s.lone));
    e = (struct edge){.to = s.lone, .kind = EDGE_SUBJECT, .repo = s.repo, .from = p.digest};
    assert_int_equal(tbl_edge_has(kv_reads(f->reg.kv), &e, &f->err), 1);
    check_fixture_clean(f, "garbage");
}

static void
each_rule_finds_what_breaks_it_and_a_repair_mends_that(void **state)
{
    struct fixture *f;

    (void)state;
    for (size_t i = 0; i < DAMAGES; i++) {
        struct looked l = {.kind = damages[i].kind};
        void *fresh;
        struct store s;

        assert_int_equal(fixture_store(&fresh), 0);
        f = fresh;
        check_fixture_fill(f, &s);
        check_fixture_clean(f, "pushes");
        fixture_run(f, damages[i].fn, &s);
        check_fixture_run(f, false, &l);
        if (!l.found)
            fail_msg("%s isn't found, but:\n%s", l.kind, l.all);
        check_fixture_run(f, true, &l);
        if (!damages[i].stays)
            check_fixture_clean(f, l.all);
        assert_int_equal(fixture_done(&fresh), 0);
    }
}

static void
each_rule_has_a_damage_here(void **state)
{
    (void)state;
    for (size_t r = 0; r < check_table_n; r++) {
        bool has = false;

        for (size_t i = 0; i < DAMAGES; i++)
            has = has || strcmp(damages[i].kind, check_table[r].kind) == 0;
        if (!has)
            fail_msg("no damage for %s: %s", check_table[r].kind, check_table[r].must);
    }
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(a_good_store_has_no_findings),
        TEST(a_referrer_keeps_its_edge_when_its_subject_is_collected),
        cmocka_unit_test(each_rule_finds_what_breaks_it_and_a_repair_mends_that),
        cmocka_unit_test(each_rule_has_a_damage_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
