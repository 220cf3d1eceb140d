#include "process/commands/command_rotate_key.h"
#include <sys/stat.h>
#include "domain/access/bearer.h"
#include "domain/access/token_key.h"
#include "process/server/datadir.h"
#include "process/server/datadir_plan.h"
#include "process/server/privileges.h"
#include "util/clock.h"
#include "util/fdio.h"

/* Workers find the new key at their next request with a token. */
static int
rotate_key(const struct options *o, struct err *err)
{
    /* Refresh tokens last longest. */
    uint64_t until_s = o->now ? 0 : clock_wall_ms() / 1000 + BEARER_REFRESH_LIFETIME_S;
    struct datadir dir = {.fd = -1, .lock = -1};
    struct privileges who;
    char actor[COMMAND_ACTOR_MAX];
    int rc = datadir_plan(o->dir, o->run_as, &who, err);

    if (rc == 0)
        rc = datadir_find(&dir, o->dir, &who, err);
    umask(0027);
    command_actor(actor);
    if (rc == 0)
        rc = privileges_drop(&who, 0, err);
    if (rc == 0)
        rc = datadir_open_auth(&dir, false, &who, err);
    if (rc == 0)
        rc = datadir_none(o->dir, err);
    if (rc > 0)
        rc = token_keys_rotate(dir.fd, until_s, err) == 0 ? 1 : -1;
    if (rc > 0)
        command_remember(dir.fd, actor, "rotate-key", o->now ? "now" : "");
    fdio_close(dir.fd);
    return rc;
}

enum command_exit
command_rotate_key(struct options *o, struct err *err)
{
    options_forget_users(o); /* of a configuration file */
    if (o->words.n > 0) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server rotate-key [--now], with --dir, --config and "
                "--run-as as for the server");
        return COMMAND_USAGE;
    }
    return rotate_key(o, err) < 0 ? COMMAND_FAILED : COMMAND_DONE;
}
