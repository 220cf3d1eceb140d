/* A byte that chooses the kind of record (or a key), and its bytes as they might be on disk. */
#include "fuzz.h"
#include "storage/tables/record.h"
#include "util/pack.h"

static const struct record *const records[] = {
    &record_repo,     &record_upload, &record_tag,   &record_tag_log,   &record_image,
    &record_manifest, &record_blob,   &record_event, &record_job,       &record_hook,
    &record_meta,     &record_tally,  &record_edge,  &record_repo_name, &record_trash,
    &record_pull,     &record_quota,
};

#define RECORDS (sizeof records / sizeof *records)

/* The first half says which fields, the second is the key. */
static void
read_key(const uint8_t *data, size_t n)
{
    struct unpack r = unpack_of(bytes_of(data + n / 2, n - n / 2));
    struct digest d;
    struct bytes rest;
    for (size_t i = 0; i < n / 2; i++) {
        switch (data[i] % 4) {
        case 0:
            unpack_u8(&r);
            break;
        case 1:
            unpack_u64(&r);
            break;
        case 2:
            unpack_digest(&r, &d);
            MUST(r.bad || d.algo <= DIGEST_V1_ID);
            break;
        default:
            rest = unpack_rest(&r);
            MUST(rest.n <= n && (r.bad || r.n == 0));
            break;
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    union record_any r;
    struct err err = {0};
    struct buf again;
    if (n == 0)
        return 0;
    size_t kind = data[0] % (RECORDS + 1);
    struct bytes in = bytes_of(data + 1, n - 1);
    if (kind == RECORDS) {
        read_key(data + 1, n - 1);
        return 0;
    }
    if (record_decode(records[kind], &r, in, &err) != 0) {
        MUST(err.code == ERR_CORRUPT && err.message[0] != '\0');
        return 0;
    }
    buf_init(&again, 1u << 20);
    record_encode(&again, records[kind], &r);
    MUST(buf_ok(&again));
    /* A record of an older version is written in the newest. */
    if (again.p[0] == ((const char *)in.p)[0])
        MUST(bytes_equal(buf_bytes(&again), in));
    else
        MUST(record_decode(records[kind], &r, buf_bytes(&again), &err) == 0);
    buf_free(&again);
    return 0;
}
