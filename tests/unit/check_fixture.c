#include "check_fixture.h"
#include "v1_images.h"
#include <stdio.h>
#include <string.h>
#include "domain/core/repository.h"
#include "domain/core/upload.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_repo.h"

const char *
check_fixture_image(struct fixture *f, const struct digest *config, const struct digest *layer)
{
    char one[DIGEST_TEXT_MAX], two[DIGEST_TEXT_MAX];

    digest_text(one, config);
    digest_text(two, layer);
    return arena_printf(
        &f->arena,
        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_IMAGE "\",\"config\":{\"mediaType\":"
        "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":2},\"layers\":"
        "[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
        "\"size\":7}]}",
        one, two);
}

struct quotas check_fixture_quotas;

void
check_fixture_fill(struct fixture *f, struct store *s)
{
    char *quotas[] = {(char *)"a/* 1M", (char *)"** 1M"};
    struct upload u;
    struct rec_repo repo;
    struct rec_image image;
    struct digest id = v1_id(1);
    struct push p;
    char subject[300], text[DIGEST_TEXT_MAX];

    s->f = f;
    f->reg.quotas = NULL;
    OK(f, quota_begin(&f->reg, quotas, 2, &f->err));
    OK(f, quota_load(f->reg.kv, &check_fixture_quotas, &f->err));
    f->reg.quotas = &check_fixture_quotas;
    OK(f, repository_name_all(&f->reg, &f->err));
    s->config = fixture_blob(f, "a/b", "{}");
    s->layer = fixture_blob(f, "a/b", "a layer");
    OK(f,
       fixture_push(f, "a/b", "v1", check_fixture_image(f, &s->config, &s->layer), OCI_IMAGE, &p));
    s->manifest = p.digest;
    OK(f, fixture_push(f, "a/b", "all", fixture_index(f, &s->manifest), OCI_INDEX, &p));
    s->index = p.digest;
    digest_text(text, &s->manifest);
    snprintf(subject, sizeof subject,
             ",\"subject\":{\"mediaType\":\"" OCI_IMAGE "\",\"digest\":\"%s\",\"size\":1}", text);
    OK(f, fixture_push(f, "a/b", "sig", fixture_image(f, &s->config, &s->layer, subject), OCI_IMAGE,
                       &p));
    s->lone = fixture_blob(f, "a/b", "needed by nothing");
    v1_push(f, 2, 0, "base");
    v1_push(f, 1, 2, "upper");
    OK(f, v1_tag(f, "old/one", "v1", 1));
    OK(f, upload_begin(&f->reg, "a/b", &fixture_actor, &u, &f->err));
    memcpy(s->upload, u.id, sizeof s->upload);
    assert_int_equal(tbl_repo_get(kv_reads(f->reg.kv), "a/b", &repo, &f->err), 1);
    s->repo = repo.id;
    assert_int_equal(tbl_image_get(kv_reads(f->reg.kv), &id, &image, &f->err), 1);
    s->v1_layer = image.layer;
}

/* ---- looking ---- */

static void
note_finding(void *arg, const struct check_finding *f)
{
    struct looked *l = arg;
    size_t n = strlen(l->all);

    l->found = l->found || strcmp(f->kind, l->kind) == 0;
    snprintf(l->all + n, sizeof l->all - n, "%s %s: %s%s\n", f->kind, f->what, f->why,
             f->repaired ? " (repaired)" : "");
}

static void
ignore_progress(void *arg, const char *part, uint64_t entries, uint64_t bytes)
{
    (void)arg;
    (void)part;
    (void)entries;
    (void)bytes;
}

static bool
goes_on(void *arg)
{
    (void)arg;
    return false;
}

uint64_t
check_fixture_run(struct fixture *f, bool repair, struct looked *l)
{
    const struct check_watch watch = {note_finding, ignore_progress, goes_on, l};
    struct check c = {.reg = &f->reg, .watch = &watch, .repair = repair, .alone = true};

    l->found = false;
    l->all[0] = '\0';
    OK(f, check_records(&c, &f->err));
    OK(f, check_files(&c, &f->err));
    OK(f, check_digests(&c, &f->err));
    return c.findings;
}

void
check_fixture_clean(struct fixture *f, const char *after)
{
    struct looked l = {.kind = ""};

    if (check_fixture_run(f, false, &l) != 0)
        fail_msg("after %s:\n%s", after, l.all);
}
