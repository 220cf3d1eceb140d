#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/access/htpasswd.h"
#include "storage/tables/record.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The access rules, the groups and the users with a password, compiled into one run of bytes that
 * can be mapped by many processes. A decision with 10,000 rules and 100,000 users takes some
 * microseconds. docker-registry-server-config(5), ACCESS RULES, has the meaning of the files. */

enum right {
    RIGHT_PULL = 1,
    RIGHT_CREATE = 2,    /* put a tag that isn't there yet */
    RIGHT_OVERWRITE = 4, /* move a tag */
    RIGHT_DELETE = 8,
    RIGHT_ADMIN = 16,
};

#define RIGHT_PUSH (RIGHT_CREATE | RIGHT_OVERWRITE)
#define RIGHT_ALL 31u

/* The largest run/htpasswd, in bytes. */
#define ACCESS_USERS_MAX (2 * HTPASSWD_MAX)
/* A buffer for a compiled table. */
#define ACCESS_TABLE_MAX (512u * 1024 * 1024)

struct access_sources {
    bool has_rules;         /* there is a file of rules; an empty one gives nobody a right */
    struct bytes rules;     /* its text */
    struct bytes groups;    /* of auth/groups */
    struct bytes users;     /* of run/htpasswd */
    const char *rules_name; /* of the file of rules, for messages */
};

/* Appends the compiled table to out, which is empty. Returns 0, or -1 and ERR_BAD_REQUEST with
 * "FILE:LINE: ...", or ERR_TOO_LARGE. */
int access_table_compile(const struct access_sources *s, struct buf *out, struct err *err);

/* Refers to the compiled bytes. */
struct access_table {
    const uint8_t *users, *whos, *rules, *slots, *patterns, *names;
    uint32_t users_n, rules_n, who_count;
    unsigned slot_bits;
    bool has_rules;
};

/* Verifies length and checksum: other bytes than those of a compiled table are ERR_CORRUPT. */
int access_table_open(struct access_table *t, struct bytes compiled, struct err *err);

bool access_table_has_rules(const struct access_table *t);

#define ACCESS_STAMP_BYTES 16

/* Looks for a user in the password file. False: there is none of this name. The stamp changes when
 * the user's line changes. *expiry_s: when this robot expires, in seconds since 1970; 0: never. An
 * expiry that can't be read is in the past. */
bool access_table_user(const struct access_table *t, struct bytes name,
                       uint8_t stamp[ACCESS_STAMP_BYTES], uint64_t *expiry_s);

struct access_decision {
    unsigned rights;
    unsigned line;           /* the first that matches for this user; 0: none */
    unsigned anonymous_line; /* the first that matches for anonymous clients; 0: none */
};

/* user: the name of a user who has logged in; "": an anonymous client. The rights of a user are
 * those of both lines. Without rules a user may do everything, and an anonymous client nothing. */
void access_table_decide(const struct access_table *t, const char *user, const char *repository,
                         struct access_decision *d);

/* The rights that some line gives this user on some repository. */
unsigned access_table_anywhere(const struct access_table *t, const char *user);

/* Do the lines for this user give these rights on every repository, whatever its name? They do if
 * one of them is for the pattern **, and if it and all of them before it give the rights. Lines for
 * anonymous clients don't count. */
bool access_table_everywhere(const struct access_table *t, const char *user, unsigned rights);

/* For a list of all repositories on which a user has one of these rights: moves `after` forward
 * over names for which no line gives such a right. False: no name behind it is left. Names behind
 * the new `after` still have to be decided. */
bool access_table_skip(const struct access_table *t, const char *user, unsigned rights,
                       char after[RECORD_REPOSITORY_MAX + 1]);

struct access_line {
    unsigned line, rights;
};

/* The lines that are for this user, or for anonymous clients, in the order of the file; user: NULL
 * for all lines. To be freed. */
struct access_line *access_table_lines(const struct access_table *t, const char *user, size_t *n);
