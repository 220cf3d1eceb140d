#include "domain/access/access.h"
#include <errno.h>
#include <sys/stat.h>
#include "domain/access/bearer_grants.h"
#include "storage/tables/record.h"

/* False only if the file doesn't exist: after any other error it counts as existing. */
static bool
may_exist(const struct registry *reg, const char *name)
{
    struct stat st;

    return fstatat(reg->dirfd, name, &st, 0) == 0 || errno != ENOENT;
}

/* With --trust-remote-user the name may be anything: the web server in front may take it from a
 * certificate, for example. */
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

/* The files are looked at for each request, so that a new user counts at once. Either file closes
 * the registry, even if it is empty, so that it stays closed while a file is being edited. */
bool
access_users_exist(const struct registry *reg)
{
    return reg->users_given || reg->users_trusted || may_exist(reg, "run/htpasswd") ||
           may_exist(reg, "auth/htpasswd");
}

bool
access_anonymous_may(const struct registry *reg)
{
    return !access_users_exist(reg);
}

/* A token bounds what its user may do. */
static bool
is_granted(const struct bearer_grants *g, const char *repository, enum verb verb)
{
    static const unsigned actions[] = {
        [VERB_PULL] = BEARER_PULL,
        [VERB_PUSH] = BEARER_PUSH,
        [VERB_DELETE] = BEARER_DELETE,
        [VERB_ADMIN] = BEARER_ALL,
    };

    if (g == NULL || verb == VERB_LOGIN)
        return true;
    if (verb == VERB_LIST)
        return g->lists;
    return repository != NULL && bearer_grants_hold(g, bytes_str(repository), actions[verb]);
}

static int
check_user(const struct registry *reg, const struct actor *actor, struct err *err)
{
    if (!can_be_recorded(actor->user))
        return err_set(err, ERR_DENIED,
                       "the user name is longer than %d bytes or contains control characters",
                       RECORD_ACTOR_MAX);
    if (actor->user[0] != '\0' || !access_users_exist(reg))
        return 0;
    if (reg->users_trusted)
        return err_set(err, ERR_UNAUTHORIZED,
                       "the web server in front of the registry named no user");
    /* Never exactly "authentication required": docker would retry a push for 40 seconds. */
    return err_set(err, ERR_UNAUTHORIZED, "user name and password needed");
}

int
access_check(const struct registry *reg, const struct actor *actor, const char *repository,
             enum verb verb, struct err *err)
{
    if (verb == VERB_PUBLIC)
        return 0;
    if (check_user(reg, actor, err) != 0)
        return -1;
    /* There are no access rules yet: each user may do everything. */
    if (!is_granted(actor->grants, repository, verb))
        return err_set(err, ERR_UNAUTHORIZED, "the token is not for this: its scope is smaller");
    return 0;
}
