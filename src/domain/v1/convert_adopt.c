#include "domain/v1/convert_adopt.h"

#include <stdio.h>

#include "domain/v1/conversion_job.h"
#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl_tag.h"
#include "util/clock.h"
#include "util/banned.h"

/* So many images a step, in one transaction, and so many tags looked at. */
#define IMAGES_MAX 100
#define VISITS_MAX 10000

struct finding {
    struct convert_adopt *a;
    struct digest ids[IMAGES_MAX];
    size_t n, visits;
    uint64_t now;
};

static int
see(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    struct finding *f = arg;

    (void)err;
    snprintf(f->a->tag, sizeof f->a->tag, "%s", tag);
    if (r->target.algo == DIGEST_V1_ID)
        f->ids[f->n++] = r->target;
    return ++f->visits == VISITS_MAX || f->n == IMAGES_MAX;
}

static int
put_jobs(struct txn *t, void *arg, struct err *err)
{
    const struct finding *f = arg;

    for (size_t i = 0; i < f->n; i++)
        if (conversion_job_later(t, &f->ids[i], f->now, err) != 0)
            return -1;
    return 0;
}

static int
note_done(struct txn *t, void *arg, struct err *err)
{
    (void)arg;
    return tbl_meta_put(t, META_TAGS_ADOPTED, 1, err);
}

static int
begin(const struct registry *reg, struct convert_adopt *a, struct err *err)
{
    uint64_t value = 0;
    int rc = tbl_meta_get(kv_reads(reg->kv), META_TAGS_ADOPTED, &value, err);

    if (rc < 0)
        return -1;
    a->begun = true;
    a->done = rc == 1;
    return a->done ? 0 : repository_next(reg, &a->batch, err);
}

/* To the next repository; past the last one it is done. */
static int
go_on(const struct registry *reg, struct convert_adopt *a, struct err *err)
{
    a->tag[0] = '\0';
    if (++a->at < a->batch.n)
        return 0;
    a->at = 0;
    if (a->batch.n == REPOSITORY_BATCH)
        return repository_next(reg, &a->batch, err);
    if (txn_run(reg->kv, note_done, NULL, err) != 0)
        return -1;
    a->done = true;
    return 0;
}

int
convert_adopt_step(const struct registry *reg, struct convert_adopt *a, struct err *err)
{
    struct finding f = {.a = a, .now = clock_wall_ms()};

    if (!a->begun && begin(reg, a, err) != 0)
        return -1;
    if (a->done)
        return 0;
    if (a->batch.n > 0 &&
        tbl_tag_each(kv_reads(reg->kv), a->batch.v[a->at].id, a->tag, see, &f, err) != 0)
        return -1;
    if (f.n > 0 && txn_run(reg->kv, put_jobs, &f, err) != 0)
        return -1;
    return f.n == IMAGES_MAX || f.visits == VISITS_MAX ? 0 : go_on(reg, a, err);
}
