#include "process/commands/command_snapshot.h"
#include "domain/backup/snapshot.h"

static bool
snapshot_caller_is_gone(void *arg)
{
    return control_is_over(arg);
}

static int
list_snapshots(const struct control *c, struct err *err)
{
    struct snapshots s;
    int rc = snapshot_list(c->reg->dirfd, &s, err);

    for (size_t i = 0; rc == 0 && i < s.n; i++)
        printf("%s\n", s.names[i]);
    free(s.names);
    if (rc == 0 && !snapshot_is_continuous(c->reg->dirfd))
        command_note("the logs since then are not complete: the next snapshot begins new ones");
    return rc;
}

static int
take_snapshot(struct control *c, struct err *err)
{
    char name[BACKUP_TIME_MAX];

    if (snapshot_take(c->reg, (size_t)c->server->options->snapshot_keep, name,
                      snapshot_caller_is_gone, c, err) != 0)
        return -1;
    printf("snapshot %s\n", name);
    return 0;
}

enum command_exit
command_snapshot_work(struct control *c, struct err *err)
{
    int rc = c->args_n > 1 ? list_snapshots(c, err) : take_snapshot(c, err);

    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the answer");
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

enum command_exit
command_snapshot(struct options *o, struct err *err)
{
    const char *const args[] = {"snapshot", o->list ? "--list" : NULL, NULL};

    options_forget_users(o); /* of a configuration file */
    if (o->words.n != 0) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server snapshot [--list], with --dir, --config and "
                "--run-as as for the server");
        return COMMAND_USAGE;
    }
    return control_run(o, command_snapshot_work, args, err);
}
