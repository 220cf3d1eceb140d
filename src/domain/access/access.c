#include "domain/access/access.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/tables/record.h"
#include "util/banned.h"

/* Only what surely isn't there counts as absent. */
static bool
may_exist(const struct registry *reg, const char *name)
{
    struct stat st;

    return fstatat(reg->dirfd, name, &st, 0) == 0 || errno != ENOENT;
}

/* The site's web server may take a name from anywhere, a certificate say. */
static bool
can_be_recorded(const char *user)
{
    size_t n = strlen(user);

    if (n > RECORD_ACTOR_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)user[i] < ' ' || user[i] == 0x7f)
            return false;
    return true;
}

/* Looked at each time, so that users count as soon as they are added. Either file closes the
 * registry, also an empty one: what is being edited, or was lost, opens nothing. */
bool
access_users_exist(const struct registry *reg)
{
    return reg->users_given || reg->users_trusted || may_exist(reg, "run/htpasswd") ||
           may_exist(reg, "auth/htpasswd");
}

int
access_check(const struct registry *reg, const struct actor *actor, const char *repository,
             enum verb verb, struct err *err)
{
    (void)repository; /* whoever has a password may do everything, until there are access rules */
    if (verb != VERB_PUBLIC && !can_be_recorded(actor->user))
        return err_set(err, ERR_DENIED, "the user's name is longer than %d bytes, or odd",
                       RECORD_ACTOR_MAX);
    if (verb == VERB_PUBLIC || actor->user[0] != '\0' || !access_users_exist(reg))
        return 0;
    if (reg->users_trusted)
        return err_set(err, ERR_UNAUTHORIZED, "the web server in front has named no user");
    /* Never exactly "authentication required": docker would retry a push for 40 seconds. */
    return err_set(err, ERR_UNAUTHORIZED, "user name and password needed");
}
