#pragma once

#include "storage/kv/kv.h"
#include "util/digest.h"

/* content: digest of a manifest -> its bytes, verbatim, up to CONTENT_MAX; longer manifests are
 * blob files, since a larger value would push a good part of the cache out. And id of a v1 image ->
 * its JSON, which is rarely over some KiB and never over CONTENT_JSON_MAX. */
#define CONTENT_MAX (64u * 1024)
#define CONTENT_JSON_MAX (1024u * 1024)

/* Initialises bytes and fills it; the caller frees it in each case. 1, 0, -1. */
int tbl_content_get(struct txn *t, const struct digest *d, struct buf *bytes, struct err *err);
int tbl_content_put(struct txn *t, const struct digest *d, struct bytes bytes, struct err *err);
int tbl_content_drop(struct txn *t, const struct digest *d, struct err *err);
