#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "domain/retention/retain_rules.h"
#include "storage/tables/record.h"
#include "util/err.h"
#include "util/glob.h"

/* Decides which tags of one repository stay, by its rule. Three steps: retain_judge_begin; for a
 * rule with "last N", retain_judge_rank with each tag of the repository; then retain_judge_tag.
 * Tags that are pushed meanwhile are newer than those that were ranked, so they stay.
 *
 * Programs that attach signatures and the like to an image make tags sha256-<hex> or
 * sha256-<hex>.<suffix>. No clause is for such a tag, and it doesn't count among the last N. It
 * stays as long as its image does: while a tag that stays names the image, an index that stays
 * contains it, or its subject stays. If a manifest is damaged on the way to that subject,
 * retain_judge_tag fails with ERR_CORRUPT, and the tag stays. If the image isn't there, such a tag
 * stays for a lease, since it may be pushed before the image. */

enum retain_why {
    RETAIN_GOES, /* no clause keeps it; or, of a signature, its image doesn't stay */
    RETAIN_NO_RULE,
    RETAIN_ALL,
    RETAIN_LAST,
    RETAIN_YOUNGER,
    RETAIN_MATCH,
    RETAIN_PULLED,
    RETAIN_IMMUTABLE,     /* --immutable */
    RETAIN_SIGNATURE,     /* its image stays */
    RETAIN_NEW_SIGNATURE, /* its image isn't there yet */
    RETAIN_MOVED,         /* it was pushed again while the work went on */
    RETAIN_REFUSED,       /* the pre-hook refuses its deletion, or it failed */
    RETAIN_UNJUDGED,      /* retain_judge_tag failed */
};

struct retain_judge {
    const struct registry *reg;
    uint64_t repo;
    char repository[RECORD_REPOSITORY_MAX + 1]; /* its name, if there are immutable tags */
    const struct retain_rules *rules;
    const struct retain_rule *rule;
    uint64_t now;
    struct glob *globs; /* the rule's, compiled */
    /* The last N of those that were ranked: a heap with the oldest at its top. */
    struct retain_newest {
        uint64_t updated;
        char tag[RECORD_TAG_MAX + 1];
    } * newest;
    size_t newest_n, room;
};

struct retain_judgement {
    enum retain_why why;
    size_t glob; /* RETAIN_MATCH: the number of the clause */
};

/* now: clock_wall_ms(). Free it with retain_judge_end. */
int retain_judge_begin(struct retain_judge *j, const struct registry *reg, uint64_t repo,
                       const struct retain_rules *rules, const struct retain_rule *rule,
                       uint64_t now, struct err *err);
void retain_judge_rank(struct retain_judge *j, const char *tag, const struct rec_tag *r);
int retain_judge_tag(const struct retain_judge *j, const char *tag, const struct rec_tag *r,
                     struct retain_judgement *out, struct err *err);
void retain_judge_end(struct retain_judge *j);
