#include "process/commands/command_rebuild.h"
#include "domain/backup/rebuild.h"
#include "domain/name.h"
#include "process/commands/progress.h"
#include "storage/kv/kv.h"
#include "util/digest.h"

struct work {
    struct control *c;
    struct progress progress;
};

static bool
rebuild_is_over(void *arg)
{
    const struct work *w = arg;

    return control_is_over(w->c);
}

static void
show_rebuild_progress(void *arg, const struct rebuild_counts *n)
{
    struct work *w = arg;

    progress_tell(&w->progress, "looking: %llu files, %llu came back", (unsigned long long)n->files,
                  (unsigned long long)n->blobs);
}

static void
print_found(void *arg, const struct digest *d, uint64_t size, bool is_manifest)
{
    struct work *w = arg;
    char digest[DIGEST_TEXT_MAX];

    progress_end(&w->progress);
    digest_text(digest, d);
    printf("%s\t%llu\t%s\n", digest, (unsigned long long)size, is_manifest ? "manifest" : "blob");
}

enum command_exit
command_rebuild_work(struct control *c, struct err *err)
{
    struct work w = {.c = c};
    struct rebuild_counts n;
    struct rebuild r = {.reg = c->reg,
                        .repository = REBUILD_REPOSITORY,
                        .is_over = rebuild_is_over,
                        .tell = show_rebuild_progress,
                        .found = print_found,
                        .arg = &w};
    char bytes[PROGRESS_SIZE_MAX];
    int rc;

    if (c->args_n != 3) {
        err_set(err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
        return COMMAND_FAILED;
    }
    if (c->args[1][0] != '\0')
        r.repository = c->args[1];
    command_remember(c->server->dir.fd, c->args[2], "rebuild", r.repository);
    kv_keep_room(c->reg->kv);
    progress_begin(&w.progress);
    rc = rebuild_run(&r, &n, err);
    progress_end(&w.progress);
    if (rc != 0)
        return COMMAND_FAILED;
    progress_size(bytes, n.bytes);
    printf("%llu blob%s (%s) came back into the repository %s, %llu of them manifests\n",
           (unsigned long long)n.blobs, progress_plural(n.blobs), bytes, r.repository,
           (unsigned long long)n.manifests);
    if (n.damaged > 0)
        printf(n.damaged == 1 ? "%llu file doesn't have its digest: it will be removed\n"
                              : "%llu files don't have their digest: they will be removed\n",
               (unsigned long long)n.damaged);
    if (n.missing > 0)
        printf(n.missing == 1 ? "%llu blob has no file: its images have to be pushed again\n"
                              : "%llu blobs have no file: their images have to be pushed again\n",
               (unsigned long long)n.missing);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        err_errno(err, "cannot write what came back");
        return COMMAND_FAILED;
    }
    return COMMAND_DONE;
}

enum command_exit
command_rebuild(struct options *o, struct err *err)
{
    char actor[COMMAND_ACTOR_MAX];
    const char *args[] = {"rebuild", o->into != NULL ? o->into : "", actor, NULL};

    command_actor(actor);
    options_forget_users(o); /* of a configuration file */
    if (o->words.n != 0) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server rebuild [--into NAME], with --dir, --config and "
                "--run-as as for the server");
        return COMMAND_USAGE;
    }
    if (o->into != NULL && !name_is_repository(o->into)) {
        err_set(err, ERR_BAD_REQUEST, "--into %s: no repository has such a name", o->into);
        return COMMAND_USAGE;
    }
    return control_run(o, command_rebuild_work, args, err);
}
