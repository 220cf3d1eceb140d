#pragma once

#include "storage/kv/kv.h"

/* meta: name -> number. */
#define META_FORMAT "format"          /* the version of all formats: STORE_FORMAT */
#define META_NEXT_REPO "next-repo-id" /* repository ids are never used again */
#define META_REPO_NAMES "repo-names"  /* 1: table repo_name has all repositories */
/* Numbers of events. Up to these all events are: reported to the log and to listeners; entered into
 * the table hook, if they have one; turned into jobs for the indexer; trimmed. */
#define META_EVENTS_TOLD "events-told"
#define META_EVENTS_QUEUED "events-queued"
#define META_EVENTS_INDEXED "events-indexed"
#define META_EVENTS_TRIMMED "events-trimmed"
/* No pull before this moment (clock_wall_ms()) is known for certain: counting began, or the memory
 * of pulls was full. */
#define META_PULLS_SINCE "pulls-since"
/* The last round of retention: when it began (clock_wall_ms()); and the repository that it has done
 * last, META_RETAIN_BEGINNING at first, 0 at the end. */
#define META_RETAIN_BEGAN "retain-began"
#define META_RETAIN_AT "retain-at"
#define META_RETAIN_BEGINNING UINT64_MAX
#define META_RETAIN_ENDED "retain-ended" /* when the last round ended (clock_wall_ms()) */

/* The scrub: the first eight bytes of the digest that was read last, and when the round began. */
#define META_SCRUB_AT "scrub-at"
#define META_SCRUB_BEGAN "scrub-began"
/* The number of a registry whose blobs are, or were, outside of its data directory; and the one
 * that the first start with --blobs chose (domain/core/store_blobs.h). */
#define META_BLOBS_ID "blobs-id"
#define META_BLOBS_WANTED "blobs-id-wanted"
/* The store becomes a copy of another one, and isn't complete (domain/backup/store_target.h). */
#define META_COPYING "copying"
#define META_BACKUP "backup" /* when the last backup was complete */
/* The last census that was written down, and when it ended (clock_wall_ms()); see
 * domain/core/census.h. */
#define META_CENSUS_TAGS "census-tags"
#define META_CENSUS_BLOBS "census-blobs"
#define META_CENSUS_BYTES "census-bytes"
#define META_CENSUS_SHARED "census-shared"
#define META_CENSUS_AT "census-at"

/* The first format that is released. Later programs read it, too. */
#define STORE_FORMAT 1

int tbl_meta_get(struct txn *t, const char *name, uint64_t *value, struct err *err);
void tbl_meta_expect(struct txn *t, const char *name);
int tbl_meta_put(struct txn *t, const char *name, uint64_t value, struct err *err);
int tbl_meta_drop(struct txn *t, const char *name, struct err *err);
/* *value: the number that is stored (1 if there is none). Stores the next one. */
int tbl_meta_take_next(struct txn *t, const char *name, uint64_t *value, struct err *err);
