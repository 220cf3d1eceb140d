#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/tables/tables.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The values in the tables. record.c is the only place that knows their bytes: a version, then the
 * fields, as pack.h has them. Times are milliseconds since 1970. */

#define RECORD_ACTOR_MAX 128      /* a user's name */
#define RECORD_REPOSITORY_MAX 255 /* a repository's name */
#define RECORD_TAG_MAX 128
#define RECORD_TYPE_MAX 255 /* a media type: RFC 6838 4.2, 127 "/" 127 */

/* An upload's id as text: 32 hex digits. */
#define RECORD_UPLOAD_ID_MAX 33

/* repo: name -> the repository. Its id is never used again. */
struct rec_repo {
    uint64_t id;
    uint64_t created;
    uint64_t updated; /* when something was put into it, about (repository_enter) */
    bool emptied;     /* everything was deleted: it doesn't count, and will be removed */
};

/* repo_name: id -> the name of the repository. */
struct rec_repo_name {
    char name[RECORD_REPOSITORY_MAX + 1];
};

/* upload: id -> an upload between POST and close. Its bytes are in uploads/<id>. */
struct rec_upload {
    uint64_t repo; /* in records of version 1, which have no `repository`; otherwise 0 */
    uint64_t started;
    char user[RECORD_ACTOR_MAX + 1];            /* or the address of an anonymous client */
    char repository[RECORD_REPOSITORY_MAX + 1]; /* need not exist yet */
};

/* tag: repository, tag -> its target: a manifest, or (DIGEST_V1_ID) a v1 image. */
struct rec_tag {
    struct digest target;
    bool derived; /* the target is a manifest that was made here of a v1 image */
    uint64_t updated;
    char by[RECORD_ACTOR_MAX + 1];
};

/* tag_log: repository, tag, sequence -> one move of the tag. DIGEST_NONE: there was no tag before,
 * or there is none after it. */
struct rec_tag_log {
    struct digest before;
    struct digest after;
    uint64_t time;
    char by[RECORD_ACTOR_MAX + 1];
};

/* image: v1 image id -> the image. Its JSON is in the table content, so that walking from parent to
 * parent reads little. */
enum image_state {
    IMAGE_JSON = 1,       /* only the JSON is here */
    IMAGE_LAYER = 2,      /* the layer too, not verified */
    IMAGE_COMPLETE = 3,   /* verified: never changes any more */
    IMAGE_MISMATCHED = 4, /* the layer too, but the client's checksum differs */
};
#define RECORD_IMAGE_WHY_MAX 150
struct rec_image {
    enum image_state state;
    struct digest parent;   /* DIGEST_V1_ID, or DIGEST_NONE */
    struct digest layer;    /* a blob's, or DIGEST_NONE */
    struct digest checksum; /* payload checksum, or DIGEST_NONE */
    uint64_t created;
    uint64_t leased_until;         /* the end of its lease */
    char by[RECORD_ACTOR_MAX + 1]; /* the user who pushed its JSON */
    /* Why no manifest can be made of it; "": no such reason is known. */
    char unconvertible[RECORD_IMAGE_WHY_MAX + 1];
};

/* manifest: repository, digest -> this repository has that manifest. */
struct rec_manifest {
    uint64_t size;
    uint64_t pushed;
    char media_type[RECORD_TYPE_MAX + 1];
    char artifact_type[RECORD_TYPE_MAX + 1]; /* "" for none */
    /* Its id in hooks and in the first API: for an image the digest of its config, otherwise its
     * own digest. */
    struct digest id;
    /* In the record of an index: the manifest of the image that is shown if no platform is named,
     * or the digest of the index if it has no image; DIGEST_NONE: not known. */
    struct digest chosen;
    /* The v1 image that the keeper made it of (DIGEST_V1_ID), or DIGEST_NONE; and whether a client
     * has pushed it as well. If not, it is deleted with its last tag. */
    struct digest made_from;
    bool pushed_too;
    uint64_t untagged; /* when a tag left it last; 0: never, or not known */
};

/* trash: repository, digest -> a deleted manifest that can come back. It stays as long as the
 * history of a tag or another manifest in the trash names it, and until `until`. */
struct rec_trash {
    uint64_t until;
    struct rec_manifest manifest;
};

/* blob: digest -> the file layers/…/<hex>.<instance>, and the end of its lease. */
struct rec_blob {
    uint64_t size;
    uint64_t instance;
    uint64_t leased_until;
};

/* damage: digest -> a blob whose file isn't what it should be. */
enum damage_state {
    DAMAGE_FOUND = 1, /* the file of that instance is damaged */
    DAMAGE_WAITS = 2, /* it has no record any more: it waits to be pushed again */
};
#define RECORD_DAMAGE_WHY_MAX 150
struct rec_damage {
    enum damage_state state;
    uint64_t found;    /* when */
    uint64_t instance; /* of the file */
    uint64_t size;     /* as its record said */
    bool was_layer;    /* it had an index, which is made again when it is back */
    char why[RECORD_DAMAGE_WHY_MAX + 1];
};

/* event: sequence -> something that happened, for hooks, notifications and the event stream. The
 * numbers are stored. */
enum event_type {
    EVENT_IMAGE = 1,
    EVENT_LAYER = 2,
    EVENT_VERIFY = 3,
    EVENT_TAG = 4,
    EVENT_UNTAG = 5,
    EVENT_INDEX = 6,
    EVENT_MANIFEST = 7,
    EVENT_DELETE = 8,
    EVENT_DAMAGE = 9, /* a blob's file is damaged or missing; id and digest are the blob's */
    EVENT_LAST = EVENT_DAMAGE,
};
struct rec_event {
    enum event_type type;
    uint64_t time;
    struct digest id;     /* the hook's $1 */
    struct digest digest; /* the manifest's; EVENT_LAYER: the layer's; or DIGEST_NONE */
    struct digest old;    /* where the tag pointed before, or DIGEST_NONE */
    char repository[RECORD_REPOSITORY_MAX + 1];
    char tag[RECORD_TAG_MAX + 1];
    char media_type[RECORD_TYPE_MAX + 1];
    char actor[RECORD_ACTOR_MAX + 1];
};

/* job: kind, due, digest -> work for the keeper; tbl_job.h has the kinds. */
struct rec_job {
    uint32_t tries;
    uint64_t instance; /* of the blob file, where the kind is about one; JOB_FORGET: repository */
    /* Those of the event, for jobs about images; otherwise "". */
    char repository[RECORD_REPOSITORY_MAX + 1];
    char by[RECORD_ACTOR_MAX + 1];
};

/* pull: repository, tag or text of a digest -> when a client last pulled it by that name, to the
 * second. */
struct rec_pull {
    uint64_t last;
};

/* hook: state, repository, sequence -> an event whose hook is to run, or has failed for good. */
#define RECORD_HOOK_LINE_MAX 200
struct rec_hook {
    uint32_t tries;                      /* that have failed */
    uint64_t due;                        /* it doesn't run before */
    char line[RECORD_HOOK_LINE_MAX + 1]; /* the last line of the last try, or why it failed */
    struct rec_event event;
};

/* quota: a random digest, with which its edges EDGE_COUNTED are marked -> a limit, and what is used
 * of it. */
struct rec_quota {
    char pattern[RECORD_REPOSITORY_MAX + 1]; /* of repositories */
    uint64_t limit;                          /* bytes */
    uint64_t used;
    bool counted; /* `used` includes what was there when the quota was new */
};

/* content, edge: no struct. meta, tally: a number. */
struct rec_number {
    uint64_t value;
};

union record_any {
    struct rec_repo repo;
    struct rec_repo_name repo_name;
    struct rec_upload upload;
    struct rec_tag tag;
    struct rec_tag_log tag_log;
    struct rec_image image;
    struct rec_manifest manifest;
    struct rec_trash trash;
    struct rec_blob blob;
    struct rec_damage damage;
    struct rec_quota quota;
    struct rec_event event;
    struct rec_job job;
    struct rec_pull pull;
    struct rec_hook hook;
    struct rec_number number;
};

/* The longest record of any table, in bytes. */
#define RECORD_MAX 2048

/* The table of one of these structs, and its fields as bytes. */
struct record;
extern const struct record record_meta, record_repo, record_repo_name, record_upload, record_tag,
    record_tally, record_tag_log, record_image, record_manifest, record_trash, record_blob,
    record_damage, record_edge, record_quota, record_job, record_pull, record_hook, record_event;

enum table record_table(const struct record *record);

/* Appends the record of struct r. If it is too long, out fails (buf_ok). */
void record_encode(struct buf *out, const struct record *record, const void *r);
/* Fills struct r from any bytes. ERR_CORRUPT: they are not exactly one record. */
int record_decode(const struct record *record, void *r, struct bytes in, struct err *err);
