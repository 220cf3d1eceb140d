#pragma once

#include "domain/check/check.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_job.h"
#include "storage/tables/tbl_tally.h"

/* An entry of any table: its key and its record, as bytes and as values. */
struct check_entry {
    enum table table;
    struct bytes key, val;
    union record_any r;
    /* of the key, where the table has it */
    uint64_t repo;
    struct digest digest;
    char text[RECORD_REPOSITORY_MAX + 1]; /* a name, a tag, the id of an upload, an owner */
    struct edge edge;
    struct tally tally;
    struct job job;
};

/* 1; 0: the key or the record can't be read, and c->why says which. */
int check_entry_read(struct check *c, struct check_entry *e);

/* The record of the manifest, also of one in the trash. */
static inline const struct rec_manifest *
check_entry_manifest(const struct check_entry *e)
{
    return e->table == TABLE_TRASH ? &e->r.trash.manifest : &e->r.manifest;
}

/* Writes the name that users know, for example "team/app:v1". */
#define CHECK_WHAT_MAX 640
void check_entry_name(struct check *c, const struct check_entry *e, char out[CHECK_WHAT_MAX]);

/* The name of a repository, or "repository 7" if it has none. */
void check_entry_repo(struct check *c, uint64_t repo, char out[RECORD_REPOSITORY_MAX + 1]);
