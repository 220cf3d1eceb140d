#pragma once

#include "domain/registry.h"
#include "util/err.h"

/* Writes the format into a fresh store, and refuses a store whose format this program doesn't know,
 * or whose blobs are elsewhere (store_blobs.h).
 * Called once, by the process that has just recovered the store. */
int store_begin(const struct registry *reg, struct err *err);

/* Can the database be read? */
int store_answers(const struct registry *reg, struct err *err);
/* Can images be pulled, pushed and looked into? 0, or -1 with the reason: the database can't be
 * read, the disk is full, uploads can't be taken over from nginx, or indexes can't be written.
 * bodies: where nginx puts the bodies of uploads (body_dir_check_nginx); NULL: unknown. Cheap, and
 * writes nothing. */
int store_check(const struct registry *reg, const char *bodies, struct err *err);
/* The same without the database. */
int store_check_files(const struct registry *reg, const char *bodies, struct err *err);
