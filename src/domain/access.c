#include "domain/access.h"

#include <errno.h>
#include <sys/stat.h>

#include "util/banned.h"

/* Only what surely isn't there counts as absent. */
static bool
may_exist(const struct registry *reg, const char *name)
{
    struct stat st;

    return fstatat(reg->dirfd, name, &st, 0) == 0 || errno != ENOENT;
}

/* Looked at each time, so that users count as soon as they are added. Either file closes the
 * registry, also an empty one: what is being edited, or was lost, opens nothing. */
bool
access_users_exist(const struct registry *reg)
{
    return reg->users_given || may_exist(reg, "run/htpasswd") || may_exist(reg, "auth/htpasswd");
}

int
access_check(const struct registry *reg, const struct actor *actor, const char *repository,
             enum verb verb, struct err *err)
{
    (void)repository; /* whoever has a password may do everything, until there are access rules */
    if (verb == VERB_PUBLIC || actor->user[0] != '\0' || !access_users_exist(reg))
        return 0;
    /* Never exactly "authentication required": docker would retry a push for 40 seconds. */
    return err_set(err, ERR_UNAUTHORIZED, "user name and password needed");
}
