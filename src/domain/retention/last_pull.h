#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/err.h"

/* When tags and manifests were last pulled. A pull is a GET of a manifest by a tag or a digest, or
 * of one tag through the first API; a HEAD is none. Workers note pulls in shared memory
 * (pull_memory.h), and the keeper writes them into table pull each minute.
 *
 * Precision: the second of the pull. The death of a worker or of the keeper loses nothing. The
 * death of the whole server loses the pulls that are noted and not written yet, those of up to a
 * minute. A power loss also loses those that were written since the last commit that waited for the
 * disk. */

/* Notes that a client has pulled this. name: a tag, or the text of a digest. */
void last_pull_note(const struct registry *reg, uint64_t repo, const char *name);

/* Writes the noted pulls into the store, in transactions of LAST_PULL_BATCH rows that don't wait
 * for the disk. Any process may do it. Tags and manifests that are gone get no row. */
#define LAST_PULL_BATCH 64
int last_pull_flush(const struct registry *reg, struct err *err);

/* *last: when a client last pulled a tag by its name, or by the digest that it names, as far as it
 * is written down. 1, 0 (never), -1. */
int last_pull_read(const struct registry *reg, uint64_t repo, const char *tag,
                   const struct digest *target, uint64_t *last, struct err *err);

/* The time of the last pull of the tag: by its name, or by the digest that it names. Pulls are
 * known since a certain moment (META_PULLS_SINCE); every tag counts as pulled at that moment. Call
 * last_pull_flush before. */
int last_pull_find(const struct registry *reg, uint64_t repo, const char *tag,
                   const struct rec_tag *r, uint64_t *last, struct err *err);
