#pragma once

#include "domain/check/check_entry.h"
#include "domain/core/manifest.h"

/* The document of the manifest that a rule is about, read and parsed once for all its rules.
 * Documents never change. */
struct check_document *check_document_new(void);
void check_document_free(struct check_document *d);

/* 1; 0: it is missing or damaged, and c->why says that; 2: it is a blob that waits to be pushed
 * again or can't be read now, or a document that this program doesn't understand; -1. */
int check_document_get(struct check *c, struct txn *t, const struct check_entry *e,
                       const struct manifest **m, struct bytes *text, struct err *err);
