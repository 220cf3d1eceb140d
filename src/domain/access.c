#include "domain/access.h"

#include <sys/stat.h>

#include "util/banned.h"

bool
access_users_exist(const struct registry *reg)
{
    struct stat st;

    if (reg->users_given)
        return true;
    /* Looked at each time: users that are added count at once. */
    return fstatat(reg->dirfd, "auth/htpasswd", &st, 0) == 0 && st.st_size > 0;
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
