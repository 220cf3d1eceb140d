#pragma once

#include "storage/kv/kv.h"
#include "util/digest.h"

/* content: digest of a manifest -> its bytes, unchanged, up to CONTENT_MAX. Longer manifests are
 * blob files, since large values would displace much of the cache. And id of a v1 image -> its
 * JSON, a few KiB in most cases, and at most CONTENT_JSON_MAX. */
#define CONTENT_MAX (64u * 1024)
#define CONTENT_JSON_MAX (1024u * 1024)

/* Initialises bytes and fills it; the caller frees it, also after a failure. 1, 0, -1. */
int tbl_content_get(struct txn *t, const struct digest *d, struct buf *bytes, struct err *err);
void tbl_content_expect(struct txn *t, const struct digest *d);
int tbl_content_put(struct txn *t, const struct digest *d, struct bytes bytes, struct err *err);
int tbl_content_drop(struct txn *t, const struct digest *d, struct err *err);
