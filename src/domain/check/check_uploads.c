#include "domain/check/check_uploads.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "domain/core/garbage.h"
#include "storage/files/upload_dir.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_upload.h"
#include "util/clock.h"

/* Without a repair, at most a batch is reported. */
#define BATCH 64
/* A second look finds out what was changed meanwhile. */
#define PAUSE_MS 100

struct rowless_uploads {
    struct check *c;
    char v[BATCH][RECORD_UPLOAD_ID_MAX];
    bool again[BATCH]; /* the second look found it, too */
    size_t n;
    bool is_second;
};

static int
add_rowless(struct rowless_uploads *x, const char *id)
{
    for (size_t i = 0; i < x->n; i++)
        x->again[i] = x->again[i] || (x->is_second && strcmp(x->v[i], id) == 0);
    if (x->is_second)
        return 0;
    x->again[x->n] = false;
    snprintf(x->v[x->n++], RECORD_UPLOAD_ID_MAX, "%s", id);
    return x->n == BATCH;
}

/* The keeper removes such a file within a minute. */
static int
look_at_upload_file(const char *id, uint64_t changed, void *arg, struct err *err)
{
    struct rowless_uploads *x = arg;
    struct rec_upload r;
    int rc;

    if (strlen(id) != RECORD_UPLOAD_ID_MAX - 1 ||
        (!(x->c->alone && x->c->repair) && changed + GARBAGE_SWEEP_AGE_S * 1000 > clock_wall_ms()))
        return 0;
    rc = tbl_upload_get(kv_reads(x->c->reg->kv), id, &r, err);
    return rc == 0 ? add_rowless(x, id) : rc < 0 ? -1 : 0;
}

static int
look_at_upload_files(struct rowless_uploads *x, struct err *err)
{
    if (upload_dir_each(x->c->reg->dirfd, look_at_upload_file, x, err) == 0)
        return 0;
    return err->sys == ENOENT ? 0 : -1; /* a backup has no such directory */
}

static bool
report_rowless(struct check *c, const char *id)
{
    bool mended = c->repair;
    struct err why;

    check_fails(c, "no upload has this file");
    if (c->repair && upload_dir_remove(c->reg->dirfd, id, &why) != 0) {
        check_add_failure(c, &why);
        mended = false;
    }
    check_report(c, &(struct check_finding){"upload-without-row", id, "a file belongs to an upload",
                                            c->why, "it is removed", mended});
    return mended;
}

int
check_uploads(struct check *c, struct err *err)
{
    struct rowless_uploads x = {.c = c};
    bool more;

    do {
        x.n = 0;
        x.is_second = false;
        if (look_at_upload_files(&x, err) != 0)
            return -1;
        more = c->repair && x.n == BATCH;
        x.is_second = true;
        if (x.n > 0) {
            clock_sleep_ms(PAUSE_MS);
            if (look_at_upload_files(&x, err) != 0)
                return -1;
        }
        for (size_t i = 0; i < x.n; i++)
            if (x.again[i] && !report_rowless(c, x.v[i]))
                more = false;
        if (check_tick(c, err) != 0)
            return -1;
    } while (more);
    return 0;
}
