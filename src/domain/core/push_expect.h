#pragma once

#include "domain/core/new_layers.h"
#include "domain/core/tag_move.h"

/* What a push reads, announced at once (kv_expect): a database behind a network then answers
 * together. */

/* Before the transaction. by_digest: no tags are pushed. */
void push_expect_look(const struct registry *reg, const char *repository, const struct digest *d,
                      const struct manifest *m, bool by_digest);

/* As the transaction begins. repo: as repository_look filled it. */
struct push_expect {
    const struct registry *reg;
    const char *repository;
    const struct rec_repo *repo;
    const struct digest *digest;
    const struct manifest_descriptor *parts;
    size_t parts_n;
    const struct new_layers *layers;
    const struct tag_move *move;
    bool renews; /* the manifest's record is read for an update */
    uint64_t now;
};
void push_expect_records(struct txn *t, const struct push_expect *x);
