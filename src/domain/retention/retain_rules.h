#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The rules of retention: lines "PATTERN keep CLAUSE, CLAUSE, ...". PATTERN is a pattern of
 * repositories, as in access rules, without {user}. The first line that matches a repository
 * decides about its tags: a tag stays if any clause of that line keeps it.
 *
 *     all             all tags; the only clause of its line
 *     last N          the N tags that were pushed last
 *     younger TIME    tags that were pushed within that time
 *     pulled TIME     tags that were pulled or pushed within that time
 *     match GLOB      tags that match (util/glob.h); may occur several times */

#define RETAIN_RULES_NAME "auth/retain"
/* The largest file, in bytes, and its most rules. */
#define RETAIN_RULES_BYTES (1u << 20)
#define RETAIN_RULES_MAX 1000
#define RETAIN_RULES_LAST_MAX 10000
#define RETAIN_RULES_GLOBS_MAX 16 /* clauses "match" of a rule */

struct retain_rule {
    unsigned line;
    bool all;
    uint64_t last; /* 0: no such clause; as the next two */
    uint64_t younger_ms;
    uint64_t pulled_ms;
    uint32_t pattern_at, pattern_n; /* in patterns, compiled */
    uint32_t globs_at, globs_n;     /* in globs: texts, each with a NUL */
};

struct retain_rules {
    struct retain_rule *v;
    size_t n, room;
    struct buf patterns, globs;
};

/* name: of the file, for messages. 0, or -1 and ERR_BAD_REQUEST ("auth/retain:3: ...") or
 * ERR_TOO_LARGE. Free *r in both cases. */
int retain_rules_parse(struct retain_rules *r, struct bytes file, const char *name,
                       struct err *err);
void retain_rules_free(struct retain_rules *r);

/* The rule for a repository; NULL: it has none, and keeps everything. */
const struct retain_rule *retain_rules_find(const struct retain_rules *r, const char *repository);
/* The text of its clause "match" number i. */
const char *retain_rules_glob(const struct retain_rules *r, const struct retain_rule *rule,
                              size_t i);
