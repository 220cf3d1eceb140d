#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/core/repository.h"
#include "domain/registry.h"
#include "domain/retention/retain_judge.h"
#include "domain/retention/retain_rules.h"
#include "storage/tables/record.h"
#include "util/err.h"

/* Goes through all repositories in the order of their names, judges their tags, and deletes those
 * that no rule keeps, by delete_tag. It works in short steps, between which it holds nothing in the
 * store, and needs the same memory however many tags there are. A tag is deleted only if it names
 * the same manifest, and was pushed at the same time, as when it was judged. */

/* The user in events, in the history of tags, and for hooks. */
#define RETAIN_WALK_ACTOR "retention"

#define RETAIN_WALK_PAGE 128   /* tags that are read at once */
#define RETAIN_WALK_DELETES 16 /* deletions in one step */

/* The result for one tag or, if `tag` is empty, for all tags of the repository. */
struct retain_result {
    const char *repository, *tag;
    const struct rec_tag *record;   /* NULL: of the whole repository */
    const struct retain_rule *rule; /* NULL: it has none */
    const char *glob;               /* RETAIN_MATCH: the clause's */
    enum retain_why why;            /* RETAIN_GOES: it was deleted, or would be */
    const char *refusal;            /* RETAIN_REFUSED, RETAIN_UNJUDGED: the message */
};

typedef int retain_walk_fn(const struct retain_result *r, void *arg, struct err *err);

struct retain_walk {
    const struct registry *reg;
    const char *by; /* the actor of the deletions; RETAIN_WALK_ACTOR at first */
    bool dry_run;
    bool careful; /* one deletion in a step, since a pre-hook is asked about each */
    retain_walk_fn *fn;
    void *arg;

    struct repository_batch batch;
    size_t at; /* the next one in the batch */
    bool began;

    /* the repository at work */
    const struct retain_rules *rules;
    struct retain_judge judge; /* rule NULL: between two repositories */
    bool ranking;
    char after[RECORD_TAG_MAX + 1]; /* the page goes on behind this tag */
    struct retain_walk_tag {
        char name[RECORD_TAG_MAX + 1];
        struct rec_tag record;
    } page[RETAIN_WALK_PAGE];
    size_t page_n, page_at; /* page_at: the next one to judge */
};

/* after: the walk begins behind the repository of that name; "": with the first one. */
void retain_walk_begin(struct retain_walk *w, const struct registry *reg, const char *after);
void retain_walk_end(struct retain_walk *w);

/* Does some work. `rules` may change only between two repositories. 1: there is more to do; 0: it
 * was the end; -1. */
int retain_walk_step(struct retain_walk *w, const struct retain_rules *rules, struct err *err);

/* Is it between two repositories? Then *last is the id of the last one that is done; 0: none is. */
bool retain_walk_is_between(const struct retain_walk *w, uint64_t *last);

/* "line 3: match v*" and the like. */
#define RETAIN_WALK_WHY_MAX 512
void retain_walk_why(char out[RETAIN_WALK_WHY_MAX], const struct retain_result *r);
