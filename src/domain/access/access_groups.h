#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/bytes.h"
#include "util/err.h"

/* The groups of users, auth/groups: lines "GROUP: USER USER ...". Several lines of a group add up.
 */

/* The largest file, in bytes. */
#define ACCESS_GROUPS_MAX (16u * 1024 * 1024)
#define ACCESS_GROUPS_NAME "auth/groups"

/* All texts point into the file. */
struct access_groups {
    struct access_member {
        struct bytes group, user;
    } * members;         /* in the order of the file */
    struct bytes *names; /* of all groups, sorted, each once */
    size_t members_n, members_room, names_n, names_room;
};

/* Returns 0, or -1 and ERR_BAD_REQUEST: "auth/groups:3: ...", or ERR_TOO_LARGE. Free *g in both
 * cases. */
int access_groups_parse(struct access_groups *g, struct bytes file, struct err *err);
void access_groups_free(struct access_groups *g);

bool access_groups_know(const struct access_groups *g, struct bytes name);

/* a-z, A-Z, 0-9, ., _ and -, at least one of them. */
bool access_groups_is_name(struct bytes name);
