#include "process/commands/command_export.h"
#include <signal.h>
#include <unistd.h>
#include "domain/transfer/export.h"
#include "domain/transfer/export_plan.h"
#include "domain/name.h"
#include "process/commands/export_target.h"
#include "process/commands/progress.h"

#define USAGE                                                                                 \
    "usage: docker-registry-server export NAME[:TAG] ... [--output PATH], also NAME@DIGEST; " \
    "with --dir, --config and --run-as as for the server"

/* ---- names ---- */

struct wanted {
    char repository[RECORD_REPOSITORY_MAX + 1];
    char tag[RECORD_TAG_MAX + 1];
    bool all; /* its tags */
    struct reference reference;
};

/* NAME, NAME:TAG, NAME@DIGEST. */
static int
parse_wanted(struct wanted *w, const char *text, struct err *err)
{
    size_t n = strcspn(text, ":@");
    const char *rest = text + n;
    *w = (struct wanted){.all = *rest == '\0'};
    if (n < sizeof w->repository)
        snprintf(w->repository, sizeof w->repository, "%.*s", (int)n, text);
    if (!name_is_repository(w->repository))
        return err_set(err, ERR_BAD_NAME,
                       "%.200s is not a repository name, NAME:TAG or NAME@DIGEST", text);
    if (*rest == '@')
        return digest_parse(&w->reference.digest, rest + 1, strlen(rest + 1), err);
    if (*rest == ':' && !name_is_tag(rest + 1))
        return err_set(err, ERR_BAD_TAG, "%.200s: invalid tag", text);
    if (*rest == ':') {
        snprintf(w->tag, sizeof w->tag, "%s", rest + 1);
        w->reference.tag = w->tag;
    }
    return 0;
}

/* ---- the work ---- */

struct work {
    struct control *control;
    struct progress progress;
};

static bool
export_is_over(void *arg)
{
    const struct work *w = arg;
    return control_is_over(w->control);
}

static void
show_export_progress(void *arg, uint64_t done, uint64_t all)
{
    struct work *w = arg;
    char some[PROGRESS_SIZE_MAX], whole[PROGRESS_SIZE_MAX];
    if (!w->progress.on)
        return;
    progress_size(some, done);
    progress_size(whole, all);
    progress_tell(&w->progress, "exporting: %s of %s", some, whole);
}

static int
make_plan(struct work *w, struct export_plan *p, struct err *err)
{
    struct wanted wanted;
    for (size_t i = 1; i < w->control->args_n; i++)
        if (parse_wanted(&wanted, w->control->args[i], err) < 0 ||
            export_plan_add(p, wanted.repository, wanted.all ? NULL : &wanted.reference, err) < 0)
            return -1;
    if (export_plan_complete(p, export_is_over, w, err) < 0)
        return -1;
    export_plan_sort(p);
    if (p->absent > 0)
        command_note("%zu parts of indexes are missing in the registry, and in the export",
                     p->absent);
    return 0;
}

enum command_exit
command_export_work(struct control *c, struct err *err)
{
    struct work w = {.control = c};
    struct export_plan plan;
    const struct export_to to = {.fd = STDOUT_FILENO,
                                 .what = "the export",
                                 .is_over = export_is_over,
                                 .tell = show_export_progress,
                                 .arg = &w};
    int r;

    progress_begin(&w.progress);
    export_plan_begin(&plan, c->reg);
    r = make_plan(&w, &plan, err);
    if (r == 0)
        r = export_write(&plan, &to, err);
    export_plan_end(&plan);
    progress_end(&w.progress);
    return r == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

struct request {
    struct options *options;
    const char *args[OPTIONS_MANY_MAX + 2];
};

static enum command_exit
write_tar(void *arg, struct err *err)
{
    struct request *q = arg;
    return control_run(q->options, command_export_work, q->args, err);
}

enum command_exit
command_export(struct options *o, struct err *err)
{
    struct request q = {.options = o, .args = {"export"}};
    struct wanted ignored;
    options_forget_users(o); /* of a configuration file */
    if (o->words.n == 0) {
        err_set(err, ERR_BAD_REQUEST, USAGE);
        return COMMAND_USAGE;
    }
    for (size_t i = 0; i < o->words.n; i++) {
        q.args[i + 1] = o->words.v[i];
        if (parse_wanted(&ignored, o->words.v[i], err) < 0)
            return COMMAND_USAGE;
    }
    signal(SIGPIPE, SIG_IGN); /* a failure with a message */
    if (o->output != NULL && strcmp(o->output, "-") != 0)
        return export_target_run(o->output, write_tar, &q, err);
    if (isatty(STDOUT_FILENO)) {
        err_set(err, ERR_BAD_REQUEST,
                "refusing to write a tar to a terminal: give --output FILE, or use a pipe");
        return COMMAND_USAGE;
    }
    return write_tar(&q, err);
}
