/* A byte that chooses the kind of record (or a key), and its bytes as they might be on disk. */
#include "fuzz.h"
#include "storage/tables/record.h"
#include "util/banned.h"

union any {
    struct rec_repo repo;
    struct rec_upload upload;
    struct rec_tag tag;
    struct rec_tag_log tag_log;
    struct rec_image image;
    struct rec_manifest manifest;
    struct rec_blob blob;
    struct rec_event event;
    struct rec_job job;
    struct rec_hook hook;
};

#define KIND(name)                                                           \
    static void name##_encode(struct buf *out, const union any *r)           \
    {                                                                        \
        rec_##name##_encode(out, &r->name);                                  \
    }                                                                        \
    static int name##_decode(union any *r, struct bytes in, struct err *err) \
    {                                                                        \
        return rec_##name##_decode(&r->name, in, err);                       \
    }

/* clang-format off */
KIND(repo)
KIND(upload)
KIND(tag)
KIND(tag_log)
KIND(image)
KIND(manifest)
KIND(blob)
KIND(event)
KIND(job)
KIND(hook)
/* clang-format on */

static const struct {
    void (*encode)(struct buf *out, const union any *r);
    int (*decode)(union any *r, struct bytes in, struct err *err);
} kinds[] = {
    {repo_encode, repo_decode},   {upload_encode, upload_decode},
    {tag_encode, tag_decode},     {tag_log_encode, tag_log_decode},
    {image_encode, image_decode}, {manifest_encode, manifest_decode},
    {blob_encode, blob_decode},   {event_encode, event_decode},
    {job_encode, job_decode},     {hook_encode, hook_decode},
};

#define KINDS (sizeof kinds / sizeof *kinds)

/* The first half says which fields, the second is the key. */
static void
read_key(const uint8_t *data, size_t n)
{
    struct rec_reader r = rec_reader_of(bytes_of(data + n / 2, n - n / 2));
    struct digest d;
    struct bytes rest;
    for (size_t i = 0; i < n / 2; i++) {
        switch (data[i] % 4) {
        case 0:
            rec_take_u8(&r);
            break;
        case 1:
            rec_take_u64(&r);
            break;
        case 2:
            rec_take_digest(&r, &d);
            MUST(r.bad || d.algo <= DIGEST_V1_ID);
            break;
        default:
            rest = rec_take_rest(&r);
            MUST(rest.n <= n && (r.bad || r.n == 0));
            break;
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    union any r;
    struct err err = {0};
    struct buf again;
    if (n == 0)
        return 0;
    size_t kind = data[0] % (KINDS + 1);
    struct bytes in = bytes_of(data + 1, n - 1);
    if (kind == KINDS) {
        read_key(data + 1, n - 1);
        return 0;
    }
    if (kinds[kind].decode(&r, in, &err) != 0) {
        MUST(err.code == ERR_CORRUPT && err.message[0] != '\0');
        return 0;
    }
    buf_init(&again, 1u << 20);
    kinds[kind].encode(&again, &r);
    MUST(buf_ok(&again) && bytes_equal(buf_bytes(&again), in));
    buf_free(&again);
    return 0;
}
