#pragma once

#include "store_fixture.h"
#include "domain/core/undo.h"

/* A store that keeps the history of tags, and what bob does to tags in it. */

#define HISTORY_HOUR_MS UINT64_C(3600000) /* a lease */
#define HISTORY_KEEP_MS (6 * HISTORY_HOUR_MS)

extern const struct actor history_bob;
extern const struct actor history_admin;

/* In place of fixture_store. */
int history_store(void **state);

/* Pushes an image with that layer; its digest. */
struct digest history_image(struct fixture *f, const char *repository, const char *tag,
                            const char *layer);
void history_untag(struct fixture *f, const char *repository, const char *tag);
void history_forget(struct fixture *f, const char *repository, const struct digest *d);
struct undo history_undo_of(const char *repository, const char *tag); /* by the administrator */

/* Hours pass, and the keeper does its work in each. */
void history_pass(struct fixture *f, unsigned hours);

uint64_t history_repository_id(struct fixture *f, const char *repository);
/* Can that manifest be pulled? Was it deleted, and is it kept? */
bool history_has(struct fixture *f, const char *repository, const struct digest *d);
bool history_is_trashed(struct fixture *f, const char *repository, const struct digest *d);
/* The digest that a tag names; DIGEST_NONE: there is no such tag. */
struct digest history_named(struct fixture *f, const char *repository, const char *tag);
/* The tag names d, which is there and isn't trashed. */
void history_expect_named(struct fixture *f, const char *repository, const char *tag,
                          const struct digest *d);
/* Nothing holds or keeps it. */
void history_expect_no_edges(struct fixture *f, const struct digest *d);
