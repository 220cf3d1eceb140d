#ifndef STORAGE_TABLES_RECORD_H
#define STORAGE_TABLES_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The values in the tables, and the only place that knows their bytes: a version byte, then fields
 * in the order below. Integers are big-endian and of fixed width, texts have a length of two bytes
 * in front, digests a byte for the algorithm. Times are milliseconds since 1970. Whatever a decoder
 * is given, it reads nothing outside and says ERR_CORRUPT when the bytes are not exactly one
 * record. */

#define RECORD_ACTOR_MAX 128      /* a user's name */
#define RECORD_REPOSITORY_MAX 255 /* a repository's name */
#define RECORD_TAG_MAX 128
#define RECORD_TYPE_MAX 255 /* a media type: RFC 6838 4.2, 127 "/" 127 */

/* An upload's id as text: 32 hex digits. */
#define RECORD_UPLOAD_ID_MAX 33

/* repo: name -> who the repository is. The id is never used again. */
struct rec_repo {
    uint64_t id;
    uint64_t created;
    uint64_t updated;
};

/* upload: id -> an upload between POST and close. Its bytes are in uploads/<id>/. */
struct rec_upload {
    uint64_t repo;
    uint64_t started;
    char user[RECORD_ACTOR_MAX + 1]; /* or the address of somebody anonymous */
};

/* tag: repository, tag -> what it names: a manifest, or (DIGEST_V1_ID) a v1 image. */
struct rec_tag {
    struct digest target;
    bool derived; /* a manifest that was made here of a v1 image (domain/core/derived.h) */
    uint64_t updated;
    char by[RECORD_ACTOR_MAX + 1];
};

/* tag_log: repository, tag, sequence -> one move of the tag. DIGEST_NONE: it wasn't, or isn't any
 * more. */
struct rec_tag_log {
    struct digest before;
    struct digest after;
    uint64_t time;
    char by[RECORD_ACTOR_MAX + 1];
};

/* image: v1 image id -> the image. Its JSON is in the table content, so that walking from parent to
 * parent reads little. */
enum image_state {
    IMAGE_JSON = 1,       /* only the JSON has come */
    IMAGE_LAYER = 2,      /* its layer too, not verified */
    IMAGE_COMPLETE = 3,   /* verified: never changed any more */
    IMAGE_MISMATCHED = 4, /* its layer too, but the client's checksum was another */
};
#define RECORD_IMAGE_WHY_MAX 150
struct rec_image {
    enum image_state state;
    struct digest parent;   /* DIGEST_V1_ID, or DIGEST_NONE */
    struct digest layer;    /* a blob's, or DIGEST_NONE */
    struct digest checksum; /* payload checksum, or DIGEST_NONE */
    uint64_t created;
    uint64_t leased_until;         /* so long it stays even if nothing keeps it */
    char by[RECORD_ACTOR_MAX + 1]; /* who pushed its JSON */
    /* Why no manifest can be made of it; "": nothing is known of that. Version 2 of the record. */
    char unconvertible[RECORD_IMAGE_WHY_MAX + 1];
};

/* manifest: repository, digest -> this repository has that manifest. */
struct rec_manifest {
    uint64_t size;
    uint64_t pushed;
    char media_type[RECORD_TYPE_MAX + 1];
    char artifact_type[RECORD_TYPE_MAX + 1]; /* "" for none */
    /* Of one that the keeper made of a v1 image: that image, else DIGEST_NONE; and did a client
     * push it besides? If not, it goes with its last tag. Version 2 of the record; those of version
     * 1 were all pushed. */
    struct digest made_from;
    bool pushed_too;
    /* What hooks and the first API call it: an image by its config, all else by itself. Version 3
     * of the record; DIGEST_NONE in those before. */
    struct digest id;
};

/* blob: digest -> the file layers/…/<hex>.<instance>, and until when it stays even if nothing keeps
 * it. */
struct rec_blob {
    uint64_t size;
    uint64_t instance;
    uint64_t leased_until;
};

/* event: what happened, for hooks, notifications and the event stream. The numbers are stored. */
enum event_type {
    EVENT_IMAGE = 1,
    EVENT_LAYER = 2,
    EVENT_VERIFY = 3,
    EVENT_TAG = 4,
    EVENT_UNTAG = 5,
    EVENT_INDEX = 6,
    EVENT_MANIFEST = 7,
    EVENT_DELETE = 8,
};
struct rec_event {
    enum event_type type;
    uint64_t time;
    struct digest id;     /* what the hook's $1 is */
    struct digest digest; /* the manifest's; EVENT_LAYER: the layer's; or DIGEST_NONE */
    struct digest old;    /* where the tag pointed before, or DIGEST_NONE */
    char repository[RECORD_REPOSITORY_MAX + 1];
    char tag[RECORD_TAG_MAX + 1];
    char media_type[RECORD_TYPE_MAX + 1];
    char actor[RECORD_ACTOR_MAX + 1];
};
/* The longest event's bytes. */
#define RECORD_EVENT_MAX 1024

/* job: what the keeper has to do, see tbl_job.h for the kinds. */
struct rec_job {
    uint32_t tries;
    uint64_t instance; /* of the blob file, where the kind is about one; JOB_FORGET: repository */
    /* Of the event that it came from, where it is about an image. Version 2 of the record; without
     * either it is written as version 1. */
    char repository[RECORD_REPOSITORY_MAX + 1];
    char by[RECORD_ACTOR_MAX + 1];
};

/* hook: an event whose hook is still to run, or has failed for good. */
#define RECORD_HOOK_LINE_MAX 200
struct rec_hook {
    uint32_t tries;                      /* that have failed */
    uint64_t due;                        /* not before */
    char line[RECORD_HOOK_LINE_MAX + 1]; /* the last that the last try said, or why it failed */
    struct rec_event event;
};

void rec_repo_encode(struct buf *out, const struct rec_repo *r);
void rec_upload_encode(struct buf *out, const struct rec_upload *r);
void rec_tag_encode(struct buf *out, const struct rec_tag *r);
void rec_tag_log_encode(struct buf *out, const struct rec_tag_log *r);
void rec_image_encode(struct buf *out, const struct rec_image *r);
void rec_manifest_encode(struct buf *out, const struct rec_manifest *r);
void rec_blob_encode(struct buf *out, const struct rec_blob *r);
void rec_event_encode(struct buf *out, const struct rec_event *r);
void rec_job_encode(struct buf *out, const struct rec_job *r);
void rec_hook_encode(struct buf *out, const struct rec_hook *r);

int rec_repo_decode(struct rec_repo *r, struct bytes in, struct err *err);
int rec_upload_decode(struct rec_upload *r, struct bytes in, struct err *err);
int rec_tag_decode(struct rec_tag *r, struct bytes in, struct err *err);
int rec_tag_log_decode(struct rec_tag_log *r, struct bytes in, struct err *err);
int rec_image_decode(struct rec_image *r, struct bytes in, struct err *err);
int rec_manifest_decode(struct rec_manifest *r, struct bytes in, struct err *err);
int rec_blob_decode(struct rec_blob *r, struct bytes in, struct err *err);
int rec_event_decode(struct rec_event *r, struct bytes in, struct err *err);
int rec_job_decode(struct rec_job *r, struct bytes in, struct err *err);
int rec_hook_decode(struct rec_hook *r, struct bytes in, struct err *err);

/* Reading keys (key.h makes them): from field to field; it remembers when it ran off the end. */
struct rec_reader {
    const uint8_t *p;
    size_t n;
    bool bad;
};
struct rec_reader rec_reader_of(struct bytes in);
uint8_t rec_take_u8(struct rec_reader *r);
uint32_t rec_take_u32(struct rec_reader *r);
uint64_t rec_take_u64(struct rec_reader *r);
void rec_take_digest(struct rec_reader *r, struct digest *d);
/* All that is left. */
struct bytes rec_take_rest(struct rec_reader *r);

#endif
