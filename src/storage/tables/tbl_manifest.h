#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* manifest: repository id, digest -> struct rec_manifest: the repository has that manifest. */
int tbl_manifest_get(struct txn *t, uint64_t repo, const struct digest *d, struct rec_manifest *r,
                     struct err *err);
int tbl_manifest_get_for_update(struct txn *t, uint64_t repo, const struct digest *d,
                                struct rec_manifest *r, struct err *err);
void tbl_manifest_expect(struct txn *t, uint64_t repo, const struct digest *d);
void tbl_manifest_expect_for_update(struct txn *t, uint64_t repo, const struct digest *d);
int tbl_manifest_put(struct txn *t, uint64_t repo, const struct digest *d,
                     const struct rec_manifest *r, struct err *err);
int tbl_manifest_delete(struct txn *t, uint64_t repo, const struct digest *d, struct err *err);

/* Visits the manifests of all repositories behind that one (repository 0: all), in the order of
 * repository ids and digests. fn is like kv_range_fn. */
int tbl_manifest_each(struct txn *t, uint64_t repo, const struct digest *after,
                      int (*fn)(uint64_t repo, const struct digest *d, const struct rec_manifest *r,
                                void *arg, struct err *err),
                      void *arg, struct err *err);

/* Has the repository any manifest? 1, 0, -1. */
int tbl_manifest_any(struct txn *t, uint64_t repo, struct err *err);
void tbl_manifest_expect_any(struct txn *t, uint64_t repo);
