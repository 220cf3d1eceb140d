#include "domain/access/access.h"
#include <errno.h>
#include <sys/stat.h>
#include "domain/access/access_file.h"
#include "domain/access/bearer_grants.h"
#include "domain/access/user_secret.h"
#include "storage/tables/record.h"
#include "util/clock.h"

/* Times of files lag behind the clock by as much as a tick of the kernel. */
#define FILE_CLOCK_MS 10

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

/* The administrator's files close the registry before the master has read them, and each of them
 * even if it is empty, so that the registry stays closed while a file is being edited. */
static bool
are_users_or_rules(const struct registry *reg)
{
    return reg->users_given || reg->users_trusted || reg->rules_given ||
           may_exist(reg, "run/htpasswd") || may_exist(reg, "auth/htpasswd") ||
           may_exist(reg, "auth/access");
}

void
access_look(const struct registry *reg)
{
    struct access_file *f = reg->access;

    if (f == NULL)
        return;
    access_file_look(f, reg->dirfd);
    f->is_closed = f->is_there || are_users_or_rules(reg);
}

bool
access_users_exist(const struct registry *reg)
{
    return reg->access != NULL ? reg->access->is_closed : are_users_or_rules(reg);
}

bool
access_changed_since(const struct registry *reg, uint64_t at_ms)
{
    const struct access_file *f = reg->access;
    uint64_t changed_ms;

    if (f == NULL || !f->is_there)
        return false;
    changed_ms =
        (uint64_t)f->seen.st_mtim.tv_sec * 1000 + (uint64_t)f->seen.st_mtim.tv_nsec / 1000000;
    /* A time in the future tells that the clock was set back, and nothing about the request. */
    return changed_ms + FILE_CLOCK_MS >= at_ms && changed_ms <= clock_wall_ms();
}

void
access_version(const struct registry *reg, char out[ACCESS_VERSION_TEXT])
{
    const struct access_file *f = reg->access;
    struct stat none = {0};
    const struct stat *seen = f != NULL && f->is_there ? &f->seen : &none;

    snprintf(out, ACCESS_VERSION_TEXT, "%llx-%llx-%lx", (unsigned long long)seen->st_ino,
             (unsigned long long)seen->st_mtim.tv_sec, (unsigned long)seen->st_mtim.tv_nsec);
}

bool
access_user_is_known(const struct registry *reg, const char *user)
{
    uint8_t secret[USER_SECRET_BYTES];
    uint64_t until_s;

    return reg->users_trusted || reg->access == NULL ||
           user_secret_find(reg, bytes_str(user), secret, &until_s);
}

/* ---- rights ---- */

/* Without rules the rights are the same everywhere. */
static unsigned
rights_without_rules(const struct registry *reg, const struct actor *actor)
{
    if (actor->user[0] != '\0')
        return RIGHT_ALL;
    return reg->anonymous_pull ? RIGHT_PULL : 0;
}

/* Where decisions come from. NULL: there are no rules. */
static const struct access_table *
rules_of(const struct registry *reg)
{
    return reg->access != NULL && reg->access->is_usable &&
                   access_table_has_rules(&reg->access->table)
               ? &reg->access->table
               : NULL;
}

/* Rules that can't be read give nobody a right. */
static bool
are_rules_lost(const struct registry *reg)
{
    return reg->access != NULL && !reg->access->is_usable &&
           (reg->access->is_there || reg->rules_given || may_exist(reg, "auth/access"));
}

static bool
has_all_rights(const struct actor *actor)
{
    return actor->quiet || actor->administrator;
}

static bool
is_open_to(const struct registry *reg, const struct actor *actor)
{
    return has_all_rights(actor) || !access_users_exist(reg);
}

static unsigned
rights_of_user(const struct registry *reg, const struct actor *actor, const char *repository)
{
    const struct access_table *rules = rules_of(reg);
    struct access_decision d;

    if (rules == NULL) {
        if (is_open_to(reg, actor))
            return RIGHT_ALL;
        return are_rules_lost(reg) ? 0 : rights_without_rules(reg, actor);
    }
    if (has_all_rights(actor))
        return RIGHT_ALL;
    access_table_decide(rules, actor->user, repository, &d);
    return d.rights;
}

/* A token bounds what its user may do. */
static unsigned
rights_of_token(const struct bearer_grants *g, const char *repository)
{
    static const struct {
        unsigned action, rights;
    } given[] = {
        {BEARER_PULL, RIGHT_PULL},
        {BEARER_PUSH, RIGHT_PUSH},
        {BEARER_DELETE, RIGHT_DELETE},
        {BEARER_ALL, RIGHT_ALL},
    };
    unsigned rights = 0;

    if (g == NULL)
        return RIGHT_ALL;
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (bearer_grants_hold(g, bytes_str(repository), given[i].action))
            rights |= given[i].rights;
    return rights;
}

unsigned
access_rights(const struct registry *reg, const struct actor *actor, const char *repository)
{
    return rights_of_user(reg, actor, repository) & rights_of_token(actor->grants, repository);
}

bool
access_everywhere(const struct registry *reg, const struct actor *actor, unsigned rights)
{
    if (rules_of(reg) != NULL || actor->grants != NULL)
        return has_all_rights(actor);
    return (rights_of_user(reg, actor, "") & rights) == rights;
}

bool
access_administers(const struct registry *reg, const struct actor *actor)
{
    const struct access_table *rules = rules_of(reg);

    if (rules == NULL || has_all_rights(actor))
        return (rights_of_user(reg, actor, "") & RIGHT_ADMIN) != 0;
    return access_table_everywhere(rules, actor->user, RIGHT_ADMIN);
}

bool
access_skip(const struct registry *reg, const struct actor *actor,
            char after[RECORD_REPOSITORY_MAX + 1])
{
    const struct access_table *rules = rules_of(reg);

    if (rules != NULL && !has_all_rights(actor))
        return access_table_skip(rules, actor->user, RIGHT_PULL, after);
    return access_everywhere(reg, actor, RIGHT_PULL);
}

/* The rights that the actor has on one repository or another. */
static unsigned
rights_somewhere(const struct registry *reg, const struct actor *actor)
{
    const struct access_table *rules = rules_of(reg);

    return rules != NULL && !has_all_rights(actor) ? access_table_anywhere(rules, actor->user)
                                                   : rights_of_user(reg, actor, "");
}

bool
access_anonymous_may(const struct registry *reg)
{
    const struct actor anonymous = {.user = "", .address = ""};

    return rights_somewhere(reg, &anonymous) != 0;
}

/* ---- requests ---- */

static int
refuse_actor(const struct registry *reg, const struct actor *actor, enum verb verb, struct err *err)
{
    static const char *const WHAT[] = {[VERB_PULL] = "pull from it",
                                       [VERB_PUSH] = "push to it",
                                       [VERB_DELETE] = "delete anything in it",
                                       [VERB_ADMIN] = "administer it"};

    if (actor->user[0] != '\0')
        return err_set(err, ERR_DENIED,
                       "there is no such repository, or the access rules don't let you %s",
                       WHAT[verb]);
    if (reg->users_trusted)
        return err_set(err, ERR_UNAUTHORIZED,
                       "the web server in front of the registry named no user");
    /* Never exactly "authentication required": docker would retry a push for 40 seconds. */
    return err_set(err, ERR_UNAUTHORIZED, "user name and password needed");
}

static unsigned
rights_for(enum verb verb)
{
    switch (verb) {
    case VERB_LIST:
    case VERB_PULL:
        return RIGHT_PULL;
    case VERB_PUSH:
        return RIGHT_PUSH;
    case VERB_DELETE:
        return RIGHT_DELETE;
    case VERB_PUBLIC:
    case VERB_LOGIN:
    case VERB_ADMIN:
        break;
    }
    return RIGHT_ADMIN;
}

static int
refuse_token(struct err *err)
{
    return err_set(err, ERR_UNAUTHORIZED, "the token is not for this: its scope is smaller");
}

/* Requests that name no repository. */
static int
check_without_repository(const struct registry *reg, const struct actor *actor, enum verb verb,
                         struct err *err)
{
    bool has_entered = actor->user[0] != '\0' || actor->grants != NULL || is_open_to(reg, actor);

    if (verb == VERB_LOGIN)
        return has_entered ? 0 : refuse_actor(reg, actor, verb, err);
    if (actor->grants != NULL && !(verb == VERB_LIST && actor->grants->lists))
        return refuse_token(err);
    if (verb == VERB_LIST && has_entered)
        return 0;
    return (rights_somewhere(reg, actor) & rights_for(verb)) != 0
               ? 0
               : refuse_actor(reg, actor, verb, err);
}

int
access_check(const struct registry *reg, const struct actor *actor, const char *repository,
             enum verb verb, struct err *err)
{
    if (verb == VERB_PUBLIC)
        return 0;
    if (!can_be_recorded(actor->user))
        return err_set(err, ERR_DENIED,
                       "the user name is longer than %d bytes or contains control characters",
                       RECORD_ACTOR_MAX);
    if (repository == NULL || verb == VERB_LOGIN || verb == VERB_LIST)
        return check_without_repository(reg, actor, verb, err);
    if ((rights_of_user(reg, actor, repository) & rights_for(verb)) == 0)
        return refuse_actor(reg, actor, verb, err);
    if ((rights_of_token(actor->grants, repository) & rights_for(verb)) == 0)
        return refuse_token(err);
    return 0;
}

int
access_check_administrator(const struct registry *reg, const struct actor *actor, struct err *err)
{
    if (access_administers(reg, actor))
        return 0;
    if (actor->user[0] == '\0')
        return refuse_actor(reg, actor, VERB_ADMIN, err);
    return err_set(err, ERR_DENIED,
                   "this is for administrators: it needs the right admin on all repositories");
}
