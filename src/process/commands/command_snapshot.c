#include "process/commands/command_snapshot.h"
#include "domain/backup/snapshot.h"
#include "process/commands/progress.h"
#include "storage/kv/kv.h"
#include "util/parse.h"

struct taking {
    struct control *c;
    struct progress progress;
};

static bool
snapshot_caller_is_gone(void *arg)
{
    const struct taking *t = arg;

    return control_is_over(t->c);
}

static void
tell_snapshot_waits(void *arg, const char *holder)
{
    struct taking *t = arg;

    progress_tell(&t->progress, "waiting for %s", holder);
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
    struct taking t = {.c = c};
    struct backup_lock_wait wait = {"snapshot", 0, snapshot_caller_is_gone, tell_snapshot_waits,
                                    &t};
    char name[BACKUP_TIME_MAX];
    int rc;

    if (!parse_u64(c->args[1], strlen(c->args[1]), &wait.ms))
        return err_set(err, ERR_BAD_REQUEST, "the caller is of another version");
    progress_begin(&t.progress);
    rc = snapshot_take(c->reg, (size_t)c->server->options->snapshot_keep, name, &wait, err);
    progress_end(&t.progress);
    if (rc == 0)
        printf("snapshot %s\n", name);
    return rc;
}

enum command_exit
command_snapshot_work(struct control *c, struct err *err)
{
    int rc;

    if (c->args_n != 2)
        rc = err_set(err, ERR_BAD_REQUEST, "the caller is of another version");
    else if (kv_is_remote(c->reg->kv)) /* the server's --database, which the caller may leave out */
        rc = err_set(err, ERR_BAD_REQUEST, "%s", OPTIONS_NO_SNAPSHOTS);
    else
        rc = strcmp(c->args[1], "list") == 0 ? list_snapshots(c, err) : take_snapshot(c, err);

    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the answer");
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

enum command_exit
command_snapshot(struct options *o, struct err *err)
{
    char wait[24];
    const char *const args[] = {"snapshot", o->list ? "list" : wait, NULL};

    options_forget_users(o); /* of a configuration file */
    if (o->words.n != 0) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server snapshot [--wait TIME | --list], with --dir, "
                "--config and "
                "--run-as as for the server");
        return COMMAND_USAGE;
    }
    snprintf(wait, sizeof wait, "%llu", (unsigned long long)o->wait_ms);
    return control_run(o, command_snapshot_work, args, err);
}
