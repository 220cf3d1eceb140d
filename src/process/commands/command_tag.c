#include "process/commands/command_tag.h"
#include <pwd.h>
#include <string.h>
#include <unistd.h>
#include "domain/core/delete.h"
#include "domain/core/history_end.h"
#include "domain/core/repository.h"
#include "domain/core/tag.h"
#include "domain/core/tag_history.h"
#include "domain/core/undo.h"
#include "domain/core/untagged.h"
#include "domain/name.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/parse.h"
#include "util/utf8.h"

#define MEMORY_MAX (32u << 20)

#define USAGE                                                                                 \
    "usage: docker-registry-server tag ls NAME [--untagged], or tag history|undo|restore|rm " \
    "NAME:TAG; "                                                                              \
    "with --json; undo, restore and rm with --force; undo with --to N; rm with --now; with "  \
    "--dir, --config and --run-as as for the server"

/* The arguments of the work, in this order. */
enum {
    ARG_COMMAND,
    ARG_WHAT,
    ARG_NAME,
    ARG_FORM, /* "json" or "text" */
    ARG_WHO,  /* the actor */
    ARG_TO,   /* a number, or "" */
    ARG_MORE, /* "force", "untagged" or "" */
    ARG_NOW,  /* "now" or "later" */
    ARGS
};

struct tag_work {
    struct control *control;
    struct registry reg; /* with the hooks, which may refuse a change */
    struct hooks hooks;
    struct actor actor;
    bool json;
    bool untagged;  /* ls --untagged */
    bool now;       /* rm --now */
    bool is_screen; /* lines for people, on a terminal */
    char repository[RECORD_REPOSITORY_MAX + 1];
    char tag[RECORD_TAG_MAX + 1];
};

/* ---- printing ---- */

static const char *
target_text(char out[DIGEST_TEXT_MAX], const struct digest *d)
{
    if (d->algo == DIGEST_NONE)
        return "-";
    digest_text(out, d);
    return out;
}

static void
set_target_member(struct json *j, const char *name, const struct digest *d)
{
    char text[DIGEST_TEXT_MAX];

    if (d->algo == DIGEST_NONE)
        json_set(j, name, NULL);
    else
        json_set_string(j, name, target_text(text, d));
}

static enum command_exit
end_printing(int rc, struct err *err)
{
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the result");
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

static void
print_change(const struct tag_work *w, const struct digest *from, const struct digest *to)
{
    char text[DIGEST_TEXT_MAX], old[DIGEST_TEXT_MAX];
    struct json *j;

    if (!w->json) {
        printf("%s:%s\t%s\t%s\n", w->repository, w->tag, target_text(old, from),
               target_text(text, to));
        return;
    }
    j = json_new_object();
    json_set_string(j, "repository", w->repository);
    json_set_string(j, "tag", w->tag);
    set_target_member(j, "from", from);
    set_target_member(j, "to", to);
    command_print("", j, "\n");
}

/* ---- looking ---- */

struct untagged_listing {
    uint64_t repo;
    bool json;
    bool first;
};

static void
print_tag(const struct tag_work *w, const char *name, const struct rec_tag *r, bool first)
{
    char text[DIGEST_TEXT_MAX], when[CLOCK_RFC3339_MAX], by[sizeof r->by];
    struct json *j;

    clock_rfc3339(when, r->updated);
    memcpy(by, r->by, sizeof by);
    utf8_mend(by);
    if (!w->json) {
        printf("%s\t%s\t%s\t", name, target_text(text, &r->target), when);
        command_print_text(bytes_str(by));
        putchar('\n');
        return;
    }
    j = json_new_object();
    json_set_string(j, "tag", name);
    set_target_member(j, "digest", &r->target);
    json_set_string(j, "when", when);
    json_set_string(j, "by", by);
    command_print(first ? "" : ",\n", j, "");
}

/* Reads a page at a time, so that nothing is locked while the output waits in a pager. */
static int
list_tags(struct tag_work *w, struct err *err)
{
    struct tag_batch *b = mem_alloc(sizeof *b);
    char after[RECORD_TAG_MAX + 1] = "";
    struct rec_repo repo;
    bool first = true;
    int rc = repository_need(&w->reg, w->repository, &repo, err);

    if (rc == 0 && w->json)
        putchar('[');
    b->n = TAG_BATCH;
    while (rc == 0 && b->n == TAG_BATCH && !control_is_over(w->control) && !ferror(stdout)) {
        rc = tag_batch_read(&w->reg, repo.id, after, b, err);
        for (size_t i = 0; rc == 0 && i < b->n; i++) {
            print_tag(w, b->v[i].name, &b->v[i].r, first);
            first = false;
        }
        if (b->n > 0)
            memcpy(after, b->v[b->n - 1].name, sizeof after);
    }
    if (rc == 0 && w->json)
        puts("]");
    free(b);
    return rc;
}

static void
print_untagged(const struct untagged_manifest *m, void *arg)
{
    struct untagged_listing *l = arg;
    char text[DIGEST_TEXT_MAX], pushed[CLOCK_RFC3339_MAX], until[CLOCK_RFC3339_MAX] = "-";
    struct json *j;

    if (m->repo != l->repo)
        return;
    digest_text(text, &m->digest);
    clock_rfc3339(pushed, m->pushed);
    if (m->until != 0)
        clock_rfc3339(until, m->until);
    if (!l->json) {
        printf("%s\t%llu\t%s\t%s\n", text, (unsigned long long)m->size, pushed, until);
        return;
    }
    j = json_new_object();
    json_set_string(j, "digest", text);
    json_set_u64(j, "size", m->size);
    json_set_string(j, "pushed", pushed);
    if (m->until != 0)
        json_set_string(j, "until", until);
    else
        json_set(j, "until", NULL);
    command_print(l->first ? "" : ",\n", j, "");
    l->first = false;
}

static int
list_untagged(struct tag_work *w, struct err *err)
{
    struct untagged_listing l = {.json = w->json, .first = true};
    const struct untagged_rule rule = {.only_tells = true, .tell = print_untagged, .arg = &l};
    struct untagged_walk walk = {.repo = 0};
    struct rec_repo repo;
    int rc = repository_need(&w->reg, w->repository, &repo, err);

    if (rc != 0)
        return rc;
    walk.repo = l.repo = repo.id;
    if (w->json)
        putchar('[');
    do
        rc = untagged_step(&w->reg, &walk, &rule, err);
    while (rc == 1 && walk.repo == repo.id && !control_is_over(w->control) && !ferror(stdout));
    if (rc >= 0 && w->json)
        puts("]");
    return rc < 0 ? -1 : 0;
}

/* Without its algorithm; what is printed of it is enough for explain, and 80 columns. */
static const char *
short_target(char out[DIGEST_TEXT_MAX], const struct digest *d)
{
    const char *text = target_text(out, d), *colon = strchr(text, ':');

    return colon != NULL ? colon + 1 : text;
}

static void
print_move(const struct tag_work *w, const struct tag_history_move *m, bool first)
{
    char from[DIGEST_TEXT_MAX], to[DIGEST_TEXT_MAX], when[CLOCK_RFC3339_MAX];
    struct json *j;

    clock_rfc3339(when, m->r.time);
    if (w->is_screen) {
        printf("%-4llu %.19sZ  %-12.12s  %-12.12s  ", (unsigned long long)m->number, when,
               short_target(from, &m->r.before), short_target(to, &m->r.after));
    } else if (!w->json) {
        printf("%llu\t%s\t%s\t%s\t", (unsigned long long)m->number, when,
               target_text(from, &m->r.before), target_text(to, &m->r.after));
    }
    if (w->is_screen || !w->json) {
        command_print_text(bytes_str(m->r.by));
        putchar('\n');
        return;
    }
    j = json_new_object();
    json_set_u64(j, "number", m->number);
    json_set_string(j, "when", when);
    set_target_member(j, "from", &m->r.before);
    set_target_member(j, "to", &m->r.after);
    json_set_string(j, "by", m->r.by);
    command_print(first ? "" : ",\n", j, "");
}

static int
print_history(struct tag_work *w, struct err *err)
{
    struct tag_history *h = mem_alloc(sizeof *h);
    int rc = tag_history_read(&w->reg, w->repository, w->tag, h, err);

    w->is_screen = !w->json && isatty(STDOUT_FILENO) == 1;
    if (rc == 0 && w->json)
        putchar('[');
    if (rc == 0 && w->is_screen)
        puts("MOVE WHEN                  FROM          TO            BY");
    for (size_t i = 0; rc == 0 && i < h->n; i++)
        print_move(w, &h->v[i], i == 0);
    if (rc == 0 && w->json)
        puts("]");
    free(h);
    return rc;
}

/* ---- changing ---- */

static int
undo_change(struct tag_work *w, bool restores, const char *number, struct err *err)
{
    struct undo u = {.repository = w->repository, .tag = w->tag, .actor = &w->actor};
    uint64_t n;
    int rc;

    if (restores)
        rc = undo_restore(&w->reg, &u, err);
    else if (parse_u64(number, strlen(number), &n))
        rc = undo_to(&w->reg, &u, n, err);
    else
        rc = undo_last(&w->reg, &u, err);
    if (rc == 0)
        print_change(w, &u.from, &u.to);
    return rc;
}

/* With --now also the history of a tag that was deleted before. */
static int
remove_tag(struct tag_work *w, struct err *err)
{
    static const struct digest none = {.algo = DIGEST_NONE};
    struct tag_history *h = mem_alloc(sizeof *h);
    struct arena arena;
    int rc = tag_history_read(&w->reg, w->repository, w->tag, h, err);

    arena_init(&arena, MEMORY_MAX);
    if (rc == 0 && !h->is_there)
        h->tag.target = none;
    if (rc == 0 && (h->is_there || !w->now))
        rc = delete_tag(&w->reg, w->repository, w->tag, NULL, &w->actor, &arena, err);
    if (rc == 0 && w->now)
        rc = history_end_tag(&w->reg, h->repo, w->tag, err);
    if (rc == 0)
        print_change(w, &h->tag.target, &none);
    arena_reset(&arena);
    free(h);
    return rc;
}

static int
split_name(struct tag_work *w, const char *name, bool with_tag, struct err *err)
{
    if (!name_split(name, strlen(name), w->repository, w->tag) || (w->tag[0] != '\0') != with_tag)
        return err_set(err, ERR_BAD_REQUEST, "%.300s is not of the form %s", name,
                       with_tag ? "NAME:TAG" : "NAME");
    return 0;
}

static bool
is_change(const char *what)
{
    return strcmp(what, "undo") == 0 || strcmp(what, "restore") == 0 || strcmp(what, "rm") == 0;
}

static int
do_tag_work(struct tag_work *w, const char *what, const char *to, struct err *err)
{
    if (strcmp(what, "ls") == 0)
        return w->untagged ? list_untagged(w, err) : list_tags(w, err);
    if (strcmp(what, "history") == 0)
        return print_history(w, err);
    if (strcmp(what, "rm") == 0)
        return remove_tag(w, err);
    return undo_change(w, strcmp(what, "restore") == 0, to, err);
}

enum command_exit
command_tag_work(struct control *c, struct err *err)
{
    struct tag_work w = {.control = c};
    const char *what = c->args_n > ARG_WHAT ? c->args[ARG_WHAT] : "";
    int rc;

    if (c->args_n != ARGS ||
        (!is_change(what) && strcmp(what, "ls") != 0 && strcmp(what, "history") != 0)) {
        err_set(err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
        return COMMAND_FAILED;
    }
    w.json = strcmp(c->args[ARG_FORM], "json") == 0;
    w.actor = (struct actor){.user = c->args[ARG_WHO], .address = "", .administrator = true};
    w.actor.forces = strcmp(c->args[ARG_MORE], "force") == 0;
    w.untagged = strcmp(c->args[ARG_MORE], "untagged") == 0;
    w.now = strcmp(c->args[ARG_NOW], "now") == 0;
    server_hooks(c->server, &w.hooks);
    w.reg = *c->reg;
    w.reg.hooks = &w.hooks;
    if (split_name(&w, c->args[ARG_NAME], strcmp(what, "ls") != 0, err) != 0)
        return COMMAND_USAGE;
    rc = do_tag_work(&w, what, c->args[ARG_TO], err);
    if (is_change(what) && c->poke >= 0)
        server_poke(c->poke, SERVER_POKE_EVENTS);
    return end_printing(rc, err);
}

/* ---- the caller's side ---- */

static int
check_words(const struct options *o, struct err *err)
{
    const struct options_list *words = &o->words;
    const char *what = words->n > 0 ? words->v[0] : "";
    struct tag_work w;
    uint64_t n;
    bool ls = strcmp(what, "ls") == 0;

    if (words->n != 2 || (!ls && !is_change(what) && strcmp(what, "history") != 0) ||
        (o->to != NULL && strcmp(what, "undo") != 0) || (o->force && !is_change(what)) ||
        (o->tagless && !ls) || (o->now && strcmp(what, "rm") != 0))
        return err_set(err, ERR_BAD_REQUEST, USAGE);
    if (o->to != NULL && !parse_u64(o->to, strlen(o->to), &n))
        return err_set(err, ERR_BAD_REQUEST,
                       "--to: %.100s is not a number: \"tag history\" has the numbers", o->to);
    return split_name(&w, words->v[1], !ls, err);
}

enum command_exit
command_tag(struct options *o, struct err *err)
{
    char who[COMMAND_ACTOR_MAX];
    const char *args[ARGS + 1] = {"tag"};

    options_forget_users(o); /* of a configuration file */
    if (check_words(o, err) != 0)
        return COMMAND_USAGE;
    command_actor(who);
    args[ARG_WHAT] = o->words.v[0];
    args[ARG_NAME] = o->words.v[1];
    args[ARG_FORM] = o->json ? "json" : "text";
    args[ARG_WHO] = who;
    args[ARG_TO] = o->to != NULL ? o->to : "";
    args[ARG_MORE] = o->force ? "force" : o->tagless ? "untagged" : "";
    args[ARG_NOW] = o->now ? "now" : "later";
    return control_run(o, command_tag_work, args, err);
}
