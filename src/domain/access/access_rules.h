#pragma once

#include <stddef.h>
#include <stdint.h>
#include "domain/access/access_groups.h"
#include "domain/access/access_pattern.h"
#include "domain/access/access_table.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The access rules, auth/access: lines "PATTERN WHO VERBS". */

/* The largest file, in bytes; it has at most ACCESS_FORMAT_RULES rules. */
#define ACCESS_RULES_MAX (4u * 1024 * 1024)
#define ACCESS_RULES_NAME "auth/access"

struct access_rules {
    struct access_rule {
        unsigned line;
        unsigned rights;
        struct bytes who;               /* the word in the file */
        uint32_t pattern_at, pattern_n; /* in patterns */
    } * v;
    size_t n, room;
    struct buf patterns; /* compiled */
};

/* name: of the file, for messages. Returns 0, or -1 and ERR_BAD_REQUEST: "auth/access:3: ...", or
 * ERR_TOO_LARGE. Free *r in both cases. */
int access_rules_parse(struct access_rules *r, struct bytes file, const char *name,
                       const struct access_groups *groups, struct err *err);
void access_rules_free(struct access_rules *r);

/* "pull" and the other verbs of a rule. 0: the word is none. *rights may be 0, for "none". */
bool access_rules_verb(struct bytes word, unsigned *rights);
/* The opposite: "pull,create", or "none". */
#define ACCESS_RIGHTS_TEXT_MAX 64
void access_rules_rights_text(char out[ACCESS_RIGHTS_TEXT_MAX], unsigned rights);
