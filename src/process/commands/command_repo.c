#include "process/commands/command_repo.h"
#include <inttypes.h>
#include "domain/core/purge.h"
#include "domain/name.h"
#include "process/commands/progress.h"
#include "process/commands/repo_list.h"
#include "util/glob.h"
#include "util/json.h"

#define USAGE                                                                           \
    "usage: docker-registry-server repo ls [PATTERN], repo du [NAME], or repo rm NAME " \
    "[--now], each with [--json], and with --dir, --config and --run-as as for the server"

/* ---- repo rm ---- */

struct removal {
    struct control *control;
    struct progress progress;
};

static bool
is_removal_over(void *arg)
{
    const struct removal *r = arg;

    return control_is_over(r->control);
}

static void
show_removal(uint64_t tags, uint64_t manifests, void *arg)
{
    struct removal *r = arg;

    progress_tell(&r->progress, "deleting: %" PRIu64 " tags, %" PRIu64 " manifests", tags,
                  manifests);
}

static void
print_removal(const char *name, const struct purge *p, bool json)
{
    struct json *j;

    if (!json) {
        printf("deleted from %s: %" PRIu64 " tag%s, %" PRIu64 " manifest%s\n", name, p->tags,
               progress_plural(p->tags), p->manifests, progress_plural(p->manifests));
        return;
    }
    j = json_new_object();
    json_set_string(j, "name", name);
    json_set_u64(j, "tags", p->tags);
    json_set_u64(j, "manifests", p->manifests);
    command_print("", j, "\n");
}

static enum command_exit
remove_repository(struct control *c, const char *name, bool json, struct err *err)
{
    struct removal r = {.control = c};
    struct purge p = {.by = c->args[5],
                      .now = strcmp(c->args[4], "now") == 0,
                      .is_over = is_removal_over,
                      .show = show_removal,
                      .arg = &r};
    int rc;

    progress_begin(&r.progress);
    rc = purge_run(c->reg, name, &p, err);
    progress_end(&r.progress);
    if (rc == 0 && is_removal_over(&r))
        rc = err_set(err, ERR_BUSY, "interrupted: run it again to delete the rest");
    if (c->poke >= 0)
        server_poke(c->poke, SERVER_POKE_EVENTS);
    if (rc == 0)
        print_removal(name, &p, json);
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- which ---- */

enum command_exit
command_repo_work(struct control *c, struct err *err)
{
    const char *what = c->args_n == 6 ? c->args[1] : "", *name = c->args_n == 6 ? c->args[2] : "";
    bool json = c->args_n == 6 && strcmp(c->args[3], "json") == 0;

    if (strcmp(what, "ls") == 0)
        return repo_list_names(c, name, json, err);
    if (strcmp(what, "du") == 0 && name[0] == '\0')
        return repo_list_usage(c, json, err);
    if (strcmp(what, "du") == 0)
        return repo_list_usage_of(c, name, json, err);
    if (strcmp(what, "rm") == 0)
        return remove_repository(c, name, json, err);
    err_set(err, ERR_UNSUPPORTED,
            "the running server has another version, without this command: restart it");
    return COMMAND_FAILED;
}

/* ---- the caller's side ---- */

static bool
is_good_usage(const struct options *o)
{
    const struct options_list *w = &o->words;
    const char *what = w->n > 0 ? w->v[0] : "";

    if (strcmp(what, "rm") == 0)
        return w->n == 2;
    return (strcmp(what, "ls") == 0 || strcmp(what, "du") == 0) && w->n <= 2 && !o->now;
}

enum command_exit
command_repo(struct options *o, struct err *err)
{
    const struct options_list *w = &o->words;
    char who[COMMAND_ACTOR_MAX];
    const char *args[] = {"repo",
                          w->n > 0 ? w->v[0] : "",
                          w->n > 1 ? w->v[1] : "",
                          o->json ? "json" : "text",
                          o->now ? "now" : "later",
                          who,
                          NULL};

    command_actor(who);
    options_forget_users(o); /* of a configuration file */
    if (!is_good_usage(o)) {
        err_set(err, ERR_BAD_REQUEST, USAGE);
        return COMMAND_USAGE;
    }
    if (w->n == 2 && strcmp(args[1], "ls") != 0 && !name_is_repository(args[2])) {
        err_set(err, ERR_BAD_NAME, "%.200s is not a repository name", args[2]);
        return COMMAND_USAGE;
    }
    if (strlen(args[2]) > GLOB_MAX) {
        err_set(err, ERR_BAD_REQUEST, "a pattern has at most %d bytes", GLOB_MAX);
        return COMMAND_USAGE;
    }
    return control_run(o, command_repo_work, args, err);
}
