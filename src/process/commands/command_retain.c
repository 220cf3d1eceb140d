#include "process/commands/command_retain.h"
#include <fcntl.h>
#include <unistd.h>
#include "domain/retention/last_pull.h"
#include "domain/retention/retain_round.h"
#include "domain/retention/retain_walk.h"
#include "process/commands/progress.h"
#include "process/options/option_file.h"
#include "process/server/retain_source.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/json.h"

/* Where the rules are. */
#define FROM_STDIN "stdin" /* the caller's --retain */
#define FROM_SERVER "own"

struct work {
    struct registry reg;
    struct hooks hooks;
    struct progress progress;
    bool dry_run, json, all;
    uint64_t deleted, stays, refused, repositories;
    bool printed;
};

/* ---- what is printed ---- */

static void
print_retain_line(const struct retain_result *r, const char *action, const char *why)
{
    char digest[DIGEST_TEXT_MAX] = "", pushed[CLOCK_RFC3339_MAX] = "";

    if (r->record != NULL) {
        digest_text(digest, &r->record->target);
        clock_rfc3339(pushed, r->record->updated);
    }
    printf("%s\t%s%s%s\t%s\t%s\t%s\n", action, r->repository, *r->tag != '\0' ? ":" : "", r->tag,
           digest, pushed, why);
}

static void
print_retain_json(struct work *w, const struct retain_result *r, const char *action,
                  const char *why)
{
    char digest[DIGEST_TEXT_MAX] = "", pushed[CLOCK_RFC3339_MAX] = "";
    struct json *j = json_new_object();

    if (r->record != NULL) {
        digest_text(digest, &r->record->target);
        clock_rfc3339(pushed, r->record->updated);
    }
    json_set_string(j, "action", action);
    json_set_string(j, "repository", r->repository);
    json_set_string(j, "tag", r->tag);
    json_set_string(j, "digest", digest);
    json_set_string(j, "pushed", pushed);
    json_set_u64(j, "line", r->rule != NULL ? r->rule->line : 0);
    json_set_string(j, "why", why);
    command_print(w->printed ? ",\n" : "", j, "");
    w->printed = true;
}

static int
show_retain_result(const struct retain_result *r, void *arg, struct err *err)
{
    struct work *w = arg;
    bool goes = r->why == RETAIN_GOES;
    bool refused = r->why == RETAIN_REFUSED || r->why == RETAIN_UNJUDGED;
    char why[RETAIN_WALK_WHY_MAX];

    w->deleted += goes;
    w->refused += refused;
    w->stays += !goes && r->record != NULL;
    progress_tell(&w->progress, "%llu tag%s to go, %llu to stay: %s",
                  (unsigned long long)w->deleted, progress_plural(w->deleted),
                  (unsigned long long)w->stays, r->repository);
    if (!goes && !refused && !w->all)
        return 0;
    progress_end(&w->progress);
    retain_walk_why(why, r);
    if (w->json)
        print_retain_json(w, r, goes ? "delete" : "keep", why);
    else
        print_retain_line(r, goes ? "delete" : "keep", why);
    return ferror(stdout) ? err_errno(err, "cannot write the list") : 0;
}

/* ---- the part with the database ---- */

/* 1, 0 (there are no rules), -1. */
static int
read_rules_of_work(const struct control *c, struct retain_rules *rules, struct err *err)
{
    struct retain_source source;
    struct buf text;
    int rc;

    if (strcmp(c->args[4], FROM_STDIN) == 0) {
        buf_init(&text, RETAIN_RULES_BYTES);
        *rules = (struct retain_rules){.n = 0};
        rc = fdio_read_all(STDIN_FILENO, c->args[5], &text, err);
        if (rc == 0)
            rc = retain_rules_parse(rules, buf_bytes(&text), c->args[5], err);
        buf_free(&text);
        return rc == 0 ? 1 : -1;
    }
    source = (struct retain_source){
        .dirfd = c->server->dir.fd,
        .name = c->poke >= 0 ? RETAIN_ROUND_RULES : RETAIN_RULES_NAME,
    };
    return retain_source_read(&source, rules, err);
}

static int
walk_rules(struct control *c, struct work *w, const struct retain_rules *rules, struct err *err)
{
    struct retain_walk walk;
    int rc = last_pull_flush(&w->reg, err) == 0 ? 1 : -1;

    retain_walk_begin(&walk, &w->reg, "");
    walk.by = c->args[6];
    walk.dry_run = w->dry_run;
    walk.fn = show_retain_result;
    walk.arg = w;
    while (rc == 1 && !control_is_over(c))
        rc = retain_walk_step(&walk, rules, err);
    retain_walk_end(&walk);
    if (rc == 1)
        return err_set(err, ERR_BUSY, "interrupted: what was printed is done, the rest is not");
    return rc;
}

static int
print_retain_end(const struct work *w, struct err *err)
{
    if (w->json)
        puts("]");
    else
        printf("%s %llu tag%s, %llu stay%s\n", w->dry_run ? "would delete" : "deleted",
               (unsigned long long)w->deleted, progress_plural(w->deleted),
               (unsigned long long)w->stays, w->stays == 1 ? "s" : "");
    return fflush(stdout) != 0 || ferror(stdout) ? err_errno(err, "cannot write the list") : 0;
}

enum command_exit
command_retain_work(struct control *c, struct err *err)
{
    struct work w = {.reg = *c->reg};
    struct retain_rules rules;
    int rc;

    if (c->args_n != 7) {
        err_set(err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
        return COMMAND_FAILED;
    }
    w.dry_run = strcmp(c->args[1], "dry-run") == 0;
    w.json = strcmp(c->args[2], "json") == 0;
    w.all = strcmp(c->args[3], "all") == 0;
    if (w.reg.read_only && !w.dry_run) {
        err_set(err, ERR_READ_ONLY,
                "this registry is read-only at the moment, and nothing is deleted; --dry-run shows "
                "what would go");
        return COMMAND_FAILED;
    }
    server_hooks(c->server, &w.hooks);
    w.reg.hooks = &w.hooks;
    rc = read_rules_of_work(c, &rules, err);
    if (rc == 0)
        rc = err_set(err, ERR_BAD_REQUEST,
                     "there are no rules of retention: give --retain FILE, or make auth/retain in "
                     "the data directory (a running server reads it at SIGHUP)");
    if (rc == 1) {
        if (w.json)
            putchar('[');
        progress_begin(&w.progress);
        rc = walk_rules(c, &w, &rules, err);
        progress_end(&w.progress);
        if (rc == 0)
            rc = print_retain_end(&w, err);
    }
    retain_rules_free(&rules);
    if (rc == 0 && w.refused > 0)
        rc = err_set(err, ERR_SYSTEM, "%llu tag%s could not be judged or deleted: see above",
                     (unsigned long long)w.refused, progress_plural(w.refused));
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

/* Checks the caller's rules, so that a mistake is one of usage, and puts the file where the work
 * finds it. */
static enum command_exit
pass_rules(const char *name, struct err *err)
{
    struct retain_source source = {.dirfd = AT_FDCWD, .name = name, .given = true};
    struct retain_rules rules;
    int rc = retain_source_read(&source, &rules, err), fd;

    retain_rules_free(&rules);
    if (rc < 0)
        return err->code == ERR_SYSTEM ? COMMAND_FAILED : COMMAND_USAGE;
    fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 && dup2(fd, STDIN_FILENO) >= 0) {
        close(fd);
        return COMMAND_DONE;
    }
    err_errno(err, "cannot open %s", name);
    fdio_close(fd);
    return COMMAND_FAILED;
}

enum command_exit
command_retain(struct options *o, struct err *err)
{
    char who[COMMAND_ACTOR_MAX];
    const char *args[] = {"retain",
                          o->dry_run ? "dry-run" : "now",
                          o->json ? "json" : "text",
                          o->verbose ? "all" : "some",
                          o->retain != NULL ? FROM_STDIN : FROM_SERVER,
                          o->retain != NULL ? o->retain : "",
                          who,
                          NULL};
    enum command_exit code;

    command_actor(who);
    options_forget_users(o); /* of a configuration file */
    if (o->words.n > 0) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server retain [--dry-run] [--verbose] [--json] [--retain "
                "FILE], with --dir, --config and --run-as as for the server");
        return COMMAND_USAGE;
    }
    code = o->retain != NULL ? pass_rules(o->retain, err) : COMMAND_DONE;
    return code == COMMAND_DONE ? control_run(o, command_retain_work, args, err) : code;
}
