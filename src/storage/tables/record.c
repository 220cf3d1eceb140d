#include "storage/tables/record.h"

#include <string.h>

#include "util/banned.h"

#define RECORD_VERSION 1
/* The version of an upload that is in its owner's tally. */
/* The version of an image that says why there is no manifest of it. */
#define IMAGE_WITH_WHY 2
/* The version of a manifest that was made of a v1 image. */
#define MANIFEST_MADE 2
/* The version of a manifest that says what it is called, and of which v1 image it was made, if so.
 */
#define MANIFEST_WITH_ID 3
/* The version of a job that is about somebody's image. */
#define JOB_NAMED 2

/* ---- writing ---- */

static void
put_u8(struct buf *out, uint8_t v)
{
    buf_put(out, &v, 1);
}

static void
put_uint(struct buf *out, uint64_t v, size_t width)
{
    uint8_t b[8];

    for (size_t i = 0; i < width; i++)
        b[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    buf_put(out, b, width);
}

static void
put_u64(struct buf *out, uint64_t v)
{
    put_uint(out, v, 8);
}

static void
put_digest(struct buf *out, const struct digest *d)
{
    put_u8(out, (uint8_t)d->algo);
    buf_put(out, d->bytes, digest_size(d->algo));
}

static void
put_bytes(struct buf *out, struct bytes b, size_t width)
{
    put_uint(out, b.n, width);
    buf_put(out, b.p, b.n);
}

static void
put_text(struct buf *out, const char *s)
{
    put_bytes(out, bytes_str(s), 2);
}

/* ---- reading ---- */

struct rec_reader
rec_reader_of(struct bytes in)
{
    return (struct rec_reader){.p = in.p, .n = in.n};
}

static struct bytes
take(struct rec_reader *r, size_t n)
{
    struct bytes b = {r->p, n};

    if (r->bad || n > r->n) {
        r->bad = true;
        return (struct bytes){NULL, 0};
    }
    r->p += n;
    r->n -= n;
    return b;
}

static uint64_t
take_uint(struct rec_reader *r, size_t width)
{
    struct bytes b = take(r, width);
    const uint8_t *p = b.p;
    uint64_t v = 0;

    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t
rec_take_u8(struct rec_reader *r)
{
    return (uint8_t)take_uint(r, 1);
}

uint32_t
rec_take_u32(struct rec_reader *r)
{
    return (uint32_t)take_uint(r, 4);
}

uint64_t
rec_take_u64(struct rec_reader *r)
{
    return take_uint(r, 8);
}

void
rec_take_digest(struct rec_reader *r, struct digest *d)
{
    struct bytes b;

    *d = (struct digest){.algo = DIGEST_NONE};
    uint8_t algo = rec_take_u8(r);
    if (algo > DIGEST_V1_ID) {
        r->bad = true;
        return;
    }
    b = take(r, digest_size((enum digest_algo)algo));
    if (r->bad)
        return;
    d->algo = (enum digest_algo)algo;
    if (b.n > 0)
        memcpy(d->bytes, b.p, b.n);
}

struct bytes
rec_take_rest(struct rec_reader *r)
{
    return take(r, r->n);
}

/* Into a field of `room` bytes, its NUL included. */
static void
take_text(struct rec_reader *r, char *out, size_t room)
{
    struct bytes b = take(r, (size_t)take_uint(r, 2));

    out[0] = '\0';
    if (r->bad)
        return;
    if (b.n >= room || memchr(b.p, '\0', b.n) != NULL) {
        r->bad = true;
        return;
    }
    memcpy(out, b.p, b.n);
    out[b.n] = '\0';
}

static struct rec_reader
begin(struct bytes in)
{
    struct rec_reader r = rec_reader_of(in);

    if (rec_take_u8(&r) != RECORD_VERSION)
        r.bad = true;
    return r;
}

/* Of a record that has two versions: is it the second? */
static bool
take_version(struct rec_reader *r, uint8_t second)
{
    uint8_t version = rec_take_u8(r);

    if (version != RECORD_VERSION && version != second)
        r->bad = true;
    return version == second;
}

static int
finish(const struct rec_reader *r, const char *what, struct err *err)
{
    if (r->bad || r->n != 0)
        return err_set(err, ERR_CORRUPT, "a record of table %s can't be read", what);
    return 0;
}

/* ---- one pair for each table ---- */

void
rec_repo_encode(struct buf *out, const struct rec_repo *r)
{
    put_u8(out, RECORD_VERSION);
    put_u64(out, r->id);
    put_u64(out, r->created);
    put_u64(out, r->updated);
}

int
rec_repo_decode(struct rec_repo *r, struct bytes in, struct err *err)
{
    struct rec_reader rd = begin(in);

    r->id = rec_take_u64(&rd);
    r->created = rec_take_u64(&rd);
    r->updated = rec_take_u64(&rd);
    return finish(&rd, "repo", err);
}

void
rec_upload_encode(struct buf *out, const struct rec_upload *r)
{
    put_u8(out, RECORD_VERSION);
    put_u64(out, r->repo);
    put_u64(out, r->started);
    put_text(out, r->user);
}

int
rec_upload_decode(struct rec_upload *r, struct bytes in, struct err *err)
{
    struct rec_reader rd = begin(in);

    r->repo = rec_take_u64(&rd);
    r->started = rec_take_u64(&rd);
    take_text(&rd, r->user, sizeof r->user);
    return finish(&rd, "upload", err);
}

void
rec_tag_encode(struct buf *out, const struct rec_tag *r)
{
    put_u8(out, RECORD_VERSION);
    put_digest(out, &r->target);
    put_u8(out, r->derived);
    put_u64(out, r->updated);
    put_text(out, r->by);
}

int
rec_tag_decode(struct rec_tag *r, struct bytes in, struct err *err)
{
    struct rec_reader rd = begin(in);
    uint8_t derived;

    rec_take_digest(&rd, &r->target);
    derived = rec_take_u8(&rd);
    rd.bad = rd.bad || derived > 1;
    r->derived = derived == 1;
    r->updated = rec_take_u64(&rd);
    take_text(&rd, r->by, sizeof r->by);
    return finish(&rd, "tag", err);
}

void
rec_tag_log_encode(struct buf *out, const struct rec_tag_log *r)
{
    put_u8(out, RECORD_VERSION);
    put_digest(out, &r->before);
    put_digest(out, &r->after);
    put_u64(out, r->time);
    put_text(out, r->by);
}

int
rec_tag_log_decode(struct rec_tag_log *r, struct bytes in, struct err *err)
{
    struct rec_reader rd = begin(in);

    rec_take_digest(&rd, &r->before);
    rec_take_digest(&rd, &r->after);
    r->time = rec_take_u64(&rd);
    take_text(&rd, r->by, sizeof r->by);
    return finish(&rd, "tag_log", err);
}

void
rec_image_encode(struct buf *out, const struct rec_image *r)
{
    put_u8(out, r->unconvertible[0] != '\0' ? IMAGE_WITH_WHY : RECORD_VERSION);
    put_u8(out, (uint8_t)r->state);
    put_digest(out, &r->parent);
    put_digest(out, &r->layer);
    put_digest(out, &r->checksum);
    put_u64(out, r->created);
    put_u64(out, r->leased_until);
    put_text(out, r->by);
    if (r->unconvertible[0] != '\0')
        put_text(out, r->unconvertible);
}

int
rec_image_decode(struct rec_image *r, struct bytes in, struct err *err)
{
    struct rec_reader rd = rec_reader_of(in);
    bool with_why = take_version(&rd, IMAGE_WITH_WHY);
    uint8_t state = rec_take_u8(&rd);

    if (state < IMAGE_JSON || state > IMAGE_MISMATCHED)
        rd.bad = true;
    r->state = (enum image_state)state;
    rec_take_digest(&rd, &r->parent);
    rec_take_digest(&rd, &r->layer);
    rec_take_digest(&rd, &r->checksum);
    r->created = rec_take_u64(&rd);
    r->leased_until = rec_take_u64(&rd);
    take_text(&rd, r->by, sizeof r->by);
    r->unconvertible[0] = '\0';
    if (with_why) {
        take_text(&rd, r->unconvertible, sizeof r->unconvertible);
        rd.bad = rd.bad || r->unconvertible[0] == '\0';
    }
    return finish(&rd, "image", err);
}

void
rec_manifest_encode(struct buf *out, const struct rec_manifest *r)
{
    bool made = r->made_from.algo != DIGEST_NONE, with_id = r->id.algo != DIGEST_NONE;

    put_u8(out, with_id ? MANIFEST_WITH_ID : made ? MANIFEST_MADE : RECORD_VERSION);
    put_u64(out, r->size);
    put_u64(out, r->pushed);
    put_text(out, r->media_type);
    put_text(out, r->artifact_type);
    if (with_id)
        put_digest(out, &r->id);
    if (made || with_id) {
        put_digest(out, &r->made_from);
        put_u8(out, made && r->pushed_too);
    }
}

static void
take_made(struct rec_reader *rd, struct rec_manifest *r)
{
    uint8_t pushed_too;

    rec_take_digest(rd, &r->made_from);
    pushed_too = rec_take_u8(rd);
    rd->bad = rd->bad || pushed_too > 1;
    r->pushed_too = pushed_too == 1;
}

int
rec_manifest_decode(struct rec_manifest *r, struct bytes in, struct err *err)
{
    struct rec_reader rd = rec_reader_of(in);
    uint8_t version = rec_take_u8(&rd);

    if (version < RECORD_VERSION || version > MANIFEST_WITH_ID)
        rd.bad = true;
    r->size = rec_take_u64(&rd);
    r->pushed = rec_take_u64(&rd);
    take_text(&rd, r->media_type, sizeof r->media_type);
    take_text(&rd, r->artifact_type, sizeof r->artifact_type);
    r->id = r->made_from = (struct digest){.algo = DIGEST_NONE};
    r->pushed_too = false;
    if (version == MANIFEST_WITH_ID) {
        rec_take_digest(&rd, &r->id);
        rd.bad = rd.bad || r->id.algo == DIGEST_NONE;
    }
    if (version != RECORD_VERSION)
        take_made(&rd, r);
    if (version == MANIFEST_MADE || r->made_from.algo != DIGEST_NONE || r->pushed_too)
        rd.bad = rd.bad || r->made_from.algo != DIGEST_V1_ID;
    return finish(&rd, "manifest", err);
}

void
rec_blob_encode(struct buf *out, const struct rec_blob *r)
{
    put_u8(out, RECORD_VERSION);
    put_u64(out, r->size);
    put_u64(out, r->instance);
    put_u64(out, r->leased_until);
}

int
rec_blob_decode(struct rec_blob *r, struct bytes in, struct err *err)
{
    struct rec_reader rd = begin(in);

    r->size = rec_take_u64(&rd);
    r->instance = rec_take_u64(&rd);
    r->leased_until = rec_take_u64(&rd);
    return finish(&rd, "blob", err);
}

void
rec_event_encode(struct buf *out, const struct rec_event *r)
{
    put_u8(out, RECORD_VERSION);
    put_u8(out, (uint8_t)r->type);
    put_u64(out, r->time);
    put_digest(out, &r->id);
    put_digest(out, &r->digest);
    put_digest(out, &r->old);
    put_text(out, r->repository);
    put_text(out, r->tag);
    put_text(out, r->media_type);
    put_text(out, r->actor);
}

static void
take_event(struct rec_reader *rd, struct rec_event *r)
{
    uint8_t type = rec_take_u8(rd);

    if (type < EVENT_IMAGE || type > EVENT_DELETE)
        rd->bad = true;
    r->type = (enum event_type)type;
    r->time = rec_take_u64(rd);
    rec_take_digest(rd, &r->id);
    rec_take_digest(rd, &r->digest);
    rec_take_digest(rd, &r->old);
    take_text(rd, r->repository, sizeof r->repository);
    take_text(rd, r->tag, sizeof r->tag);
    take_text(rd, r->media_type, sizeof r->media_type);
    take_text(rd, r->actor, sizeof r->actor);
}

int
rec_event_decode(struct rec_event *r, struct bytes in, struct err *err)
{
    struct rec_reader rd = begin(in);

    take_event(&rd, r);
    return finish(&rd, "event", err);
}

void
rec_job_encode(struct buf *out, const struct rec_job *r)
{
    bool named = r->repository[0] != '\0' || r->by[0] != '\0';

    put_u8(out, named ? JOB_NAMED : RECORD_VERSION);
    put_uint(out, r->tries, 4);
    put_u64(out, r->instance);
    if (named) {
        put_text(out, r->repository);
        put_text(out, r->by);
    }
}

int
rec_job_decode(struct rec_job *r, struct bytes in, struct err *err)
{
    struct rec_reader rd = rec_reader_of(in);
    uint8_t version = rec_take_u8(&rd);

    if (version != RECORD_VERSION && version != JOB_NAMED)
        rd.bad = true;
    *r = (struct rec_job){.tries = (uint32_t)take_uint(&rd, 4)};
    r->instance = rec_take_u64(&rd);
    if (version == JOB_NAMED) {
        take_text(&rd, r->repository, sizeof r->repository);
        take_text(&rd, r->by, sizeof r->by);
        if (r->repository[0] == '\0' && r->by[0] == '\0')
            rd.bad = true; /* one value, one way to write it */
    }
    return finish(&rd, "job", err);
}

void
rec_hook_encode(struct buf *out, const struct rec_hook *r)
{
    put_u8(out, RECORD_VERSION);
    put_uint(out, r->tries, 4);
    put_u64(out, r->due);
    put_text(out, r->line);
    rec_event_encode(out, &r->event);
}

int
rec_hook_decode(struct rec_hook *r, struct bytes in, struct err *err)
{
    struct rec_reader rd = begin(in);

    r->tries = rec_take_u32(&rd);
    r->due = rec_take_u64(&rd);
    take_text(&rd, r->line, sizeof r->line);
    if (rec_take_u8(&rd) != RECORD_VERSION)
        rd.bad = true;
    take_event(&rd, &r->event);
    return finish(&rd, "hook", err);
}
