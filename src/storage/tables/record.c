#include "storage/tables/record.h"
#include <stddef.h>
#include "util/pack.h"

/* The first byte of each record is its version. A format that has been released stays readable:
 * with fields that come to a record later, the list of before becomes the `older` of the new one.
 * Versions are counted from 1, the oldest. A field that an older record lacks is all zero. */

enum field_kind {
    FIELD_END = 0,
    FIELD_NUMBER, /* uint32_t or uint64_t */
    FIELD_FLAG,   /* bool: a byte, 0 or 1 */
    FIELD_CHOICE, /* an enum, from 1 to `last`: a byte */
    FIELD_TEXT,   /* a char array, closed by a NUL */
    FIELD_DIGEST,
    FIELD_V1_ID,   /* the same, DIGEST_V1_ID or DIGEST_NONE only */
    FIELD_RECORD,  /* the fields of another record */
    FIELD_PADDING, /* `size` zeros that no struct has */
};

struct field {
    enum field_kind kind;
    size_t offset, size; /* in the struct */
    unsigned last;
    const struct record *record;
};

#define FIELDS_MAX 10

struct record {
    enum table table;
    struct field fields[FIELDS_MAX + 1];
    const struct record *older;
};

#define FIELD(kind, type, name, ...)                                                     \
    {                                                                                    \
        kind, offsetof(struct rec_##type, name), sizeof(((struct rec_##type *)0)->name), \
            __VA_ARGS__                                                                  \
    }
#define NUMBER(type, name) FIELD(FIELD_NUMBER, type, name, 0, NULL)
#define FLAG(type, name) FIELD(FIELD_FLAG, type, name, 0, NULL)
#define CHOICE(type, name, last) FIELD(FIELD_CHOICE, type, name, last, NULL)
#define TEXT(type, name) FIELD(FIELD_TEXT, type, name, 0, NULL)
#define DIGEST(type, name) FIELD(FIELD_DIGEST, type, name, 0, NULL)
#define V1_ID(type, name) FIELD(FIELD_V1_ID, type, name, 0, NULL)
#define RECORD(type, name, record) FIELD(FIELD_RECORD, type, name, 0, record)
#define PADDING(size)                   \
    {                                   \
        FIELD_PADDING, 0, size, 0, NULL \
    }

/* ---- the records: what is stored, in this order ---- */

/* clang-format off */
const struct record record_meta = {TABLE_META, {
    NUMBER(number, value),
}, NULL};

static const struct record record_repo_1 = {TABLE_REPO, {
    NUMBER(repo, id),
    NUMBER(repo, created),
    NUMBER(repo, updated),
}, NULL};

const struct record record_repo = {TABLE_REPO, {
    NUMBER(repo, id),
    NUMBER(repo, created),
    NUMBER(repo, updated),
    FLAG(repo, emptied),
}, &record_repo_1};

const struct record record_repo_name = {TABLE_REPO_NAME, {
    TEXT(repo_name, name),
}, NULL};

static const struct record record_upload_1 = {TABLE_UPLOAD, {
    NUMBER(upload, repo),
    NUMBER(upload, started),
    TEXT(upload, user),
}, NULL};

const struct record record_upload = {TABLE_UPLOAD, {
    NUMBER(upload, repo),
    NUMBER(upload, started),
    TEXT(upload, user),
    TEXT(upload, repository),
}, &record_upload_1};

const struct record record_tag = {TABLE_TAG, {
    DIGEST(tag, target),
    FLAG(tag, derived),
    NUMBER(tag, updated),
    TEXT(tag, by),
}, NULL};

/* A page is locked as a whole until the commit. Padded to 200 bytes only four tallies share one,
 * and counting in one repository seldom waits for another. */
const struct record record_tally = {TABLE_TALLY, {
    NUMBER(number, value),
    PADDING(191),
}, NULL};

const struct record record_tag_log = {TABLE_TAG_LOG, {
    DIGEST(tag_log, before),
    DIGEST(tag_log, after),
    NUMBER(tag_log, time),
    TEXT(tag_log, by),
}, NULL};

const struct record record_image = {TABLE_IMAGE, {
    CHOICE(image, state, IMAGE_MISMATCHED),
    V1_ID(image, parent),
    DIGEST(image, layer),
    DIGEST(image, checksum),
    NUMBER(image, created),
    NUMBER(image, leased_until),
    TEXT(image, by),
    TEXT(image, unconvertible),
}, NULL};

static const struct record record_manifest_1 = {TABLE_MANIFEST, {
    NUMBER(manifest, size),
    NUMBER(manifest, pushed),
    TEXT(manifest, media_type),
    TEXT(manifest, artifact_type),
    DIGEST(manifest, id),
    V1_ID(manifest, made_from),
    FLAG(manifest, pushed_too),
}, NULL};

static const struct record record_manifest_2 = {TABLE_MANIFEST, {
    NUMBER(manifest, size),
    NUMBER(manifest, pushed),
    TEXT(manifest, media_type),
    TEXT(manifest, artifact_type),
    DIGEST(manifest, id),
    DIGEST(manifest, chosen),
    V1_ID(manifest, made_from),
    FLAG(manifest, pushed_too),
}, &record_manifest_1};

const struct record record_manifest = {TABLE_MANIFEST, {
    NUMBER(manifest, size),
    NUMBER(manifest, pushed),
    TEXT(manifest, media_type),
    TEXT(manifest, artifact_type),
    DIGEST(manifest, id),
    DIGEST(manifest, chosen),
    V1_ID(manifest, made_from),
    FLAG(manifest, pushed_too),
    NUMBER(manifest, untagged),
}, &record_manifest_2};

/* A new version of record_manifest needs a new version of this one. */
const struct record record_trash = {TABLE_TRASH, {
    NUMBER(trash, until),
    RECORD(trash, manifest, &record_manifest),
}, NULL};

const struct record record_blob = {TABLE_BLOB, {
    NUMBER(blob, size),
    NUMBER(blob, instance),
    NUMBER(blob, leased_until),
}, NULL};

const struct record record_damage = {TABLE_DAMAGE, {
    CHOICE(damage, state, DAMAGE_WAITS),
    NUMBER(damage, found),
    NUMBER(damage, instance),
    NUMBER(damage, size),
    FLAG(damage, was_layer),
    TEXT(damage, why),
}, NULL};

const struct record record_edge = {TABLE_EDGE, {{0}}, NULL};

const struct record record_quota = {TABLE_QUOTA, {
    TEXT(quota, pattern),
    NUMBER(quota, limit),
    NUMBER(quota, used),
    FLAG(quota, counted),
}, NULL};

const struct record record_job = {TABLE_JOB, {
    NUMBER(job, tries),
    NUMBER(job, instance),
    TEXT(job, repository),
    TEXT(job, by),
}, NULL};

const struct record record_pull = {TABLE_PULL, {
    NUMBER(pull, last),
}, NULL};

const struct record record_hook = {TABLE_HOOK, {
    NUMBER(hook, tries),
    NUMBER(hook, due),
    TEXT(hook, line),
    RECORD(hook, event, &record_event),
}, NULL};

const struct record record_event = {TABLE_EVENT, {
    CHOICE(event, type, EVENT_LAST),
    NUMBER(event, time),
    DIGEST(event, id),
    DIGEST(event, digest),
    DIGEST(event, old),
    TEXT(event, repository),
    TEXT(event, tag),
    TEXT(event, media_type),
    TEXT(event, actor),
}, NULL};
/* clang-format on */

enum table
record_table(const struct record *record)
{
    return record->table;
}

/* ---- to bytes ---- */

_Static_assert(sizeof(enum image_state) == sizeof(unsigned), "a FIELD_CHOICE is an unsigned");
_Static_assert(sizeof(enum damage_state) == sizeof(unsigned), "a FIELD_CHOICE is an unsigned");
_Static_assert(sizeof(enum event_type) == sizeof(unsigned), "a FIELD_CHOICE is an unsigned");

static void
encode_fields(struct buf *out, const struct field *f, const uint8_t *r)
{
    for (; f->kind != FIELD_END; f++) {
        const void *p = r + f->offset;

        switch (f->kind) {
        case FIELD_NUMBER:
            if (f->size == sizeof(uint32_t))
                pack_u32(out, *(const uint32_t *)p);
            else
                pack_u64(out, *(const uint64_t *)p);
            break;
        case FIELD_FLAG:
            pack_u8(out, *(const bool *)p);
            break;
        case FIELD_CHOICE:
            pack_u8(out, (uint8_t) * (const unsigned *)p);
            break;
        case FIELD_TEXT:
            pack_text(out, p);
            break;
        case FIELD_DIGEST:
        case FIELD_V1_ID:
            pack_digest(out, p);
            break;
        case FIELD_RECORD:
            encode_fields(out, f->record->fields, p);
            break;
        case FIELD_PADDING:
            for (size_t i = 0; i < f->size; i++)
                pack_u8(out, 0);
            break;
        case FIELD_END:
            break;
        }
    }
}

static unsigned
record_version(const struct record *record)
{
    return record->older != NULL ? record_version(record->older) + 1 : 1;
}

void
record_encode(struct buf *out, const struct record *record, const void *r)
{
    pack_u8(out, (uint8_t)record_version(record));
    encode_fields(out, record->fields, r);
}

/* ---- from bytes ---- */

static unsigned
decode_choice(struct unpack *in, unsigned first, unsigned last)
{
    unsigned v = unpack_u8(in);

    in->bad = in->bad || v < first || v > last;
    return v;
}

static void
decode_v1_id(struct unpack *in, struct digest *d)
{
    unpack_digest(in, d);
    in->bad = in->bad || (d->algo != DIGEST_NONE && d->algo != DIGEST_V1_ID);
}

static void
decode_fields(struct unpack *in, const struct field *f, uint8_t *r)
{
    for (; f->kind != FIELD_END; f++) {
        void *p = r + f->offset;

        switch (f->kind) {
        case FIELD_NUMBER:
            if (f->size == sizeof(uint32_t))
                *(uint32_t *)p = unpack_u32(in);
            else
                *(uint64_t *)p = unpack_u64(in);
            break;
        case FIELD_FLAG:
            *(bool *)p = decode_choice(in, 0, 1) == 1;
            break;
        case FIELD_CHOICE:
            *(unsigned *)p = decode_choice(in, 1, f->last);
            break;
        case FIELD_TEXT:
            unpack_text(in, p, f->size);
            break;
        case FIELD_DIGEST:
            unpack_digest(in, p);
            break;
        case FIELD_V1_ID:
            decode_v1_id(in, p);
            break;
        case FIELD_RECORD:
            decode_fields(in, f->record->fields, p);
            break;
        case FIELD_PADDING:
            for (size_t i = 0; i < f->size; i++)
                in->bad = unpack_u8(in) != 0 || in->bad;
            break;
        case FIELD_END:
            break;
        }
    }
}

static void
clear_fields(const struct field *f, uint8_t *r)
{
    for (; f->kind != FIELD_END; f++)
        if (f->kind != FIELD_PADDING)
            memset(r + f->offset, 0, f->size);
}

int
record_decode(const struct record *record, void *r, struct bytes in, struct err *err)
{
    struct unpack u = unpack_of(in);
    const struct record *as = record;
    unsigned version = unpack_u8(&u);

    while (record_version(as) != version && as->older != NULL)
        as = as->older;
    if (as != record)
        clear_fields(record->fields, r);
    decode_fields(&u, as->fields, r);
    if (record_version(as) != version || !unpack_done(&u))
        return err_set(err, ERR_CORRUPT, "a record of table %s can't be read",
                       tables[record->table].name);
    return 0;
}
