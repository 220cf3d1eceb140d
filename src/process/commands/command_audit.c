#include "process/commands/command_audit.h"
#include "domain/events/outbox.h"
#include "storage/files/audit_file.h"
#include "util/clock.h"
#include "util/glob.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/parse.h"
#include "util/utf8.h"

#define USAGE                                                                            \
    "usage: docker-registry-server audit [--since TIME] [--repo PATTERN] [--user NAME] " \
    "[--json], with --dir, --config and --run-as as for the server"

/* The arguments of the work. */
enum { ARG_SINCE = 1, ARG_REPO, ARG_USER, ARG_FORM, ARGS };

/* Events that are read at once. */
#define PAGE 200
/* A user's name, printable. */
#define SHOWN_USER (4 * RECORD_ACTOR_MAX + 3)

/* Something that somebody did. Texts belong to the source that it came from. */
struct deed {
    uint64_t time;
    const char *user, *what;
    const char *repository, *tag; /* "": none */
    char digest[DIGEST_TEXT_MAX], old[DIGEST_TEXT_MAX];
    const char *about; /* an address, or what a command was about; "": nothing */
    uint64_t times;
};

/* What is left of one of the two sources: the events of the database, and the files below audit/.
 */
struct event_source {
    const struct registry *reg;
    struct outbox_event *page; /* PAGE of them */
    size_t n, at;
    uint32_t after;
};
struct file_source {
    struct audit_reader reader;
    struct audit_line line;
    bool is_there; /* the line */
};

struct audit {
    struct control *control;
    uint64_t since;
    const char *user; /* "": all; "-": clients without a name */
    bool has_glob, json;
    struct glob glob;
    struct event_source events;
    struct file_source files[2];
};

/* ---- events ---- */

/* NULL: the event is no deed of its own, but part of another one. */
static const char *
word_of_event(const struct rec_event *e)
{
    switch (e->type) {
    case EVENT_TAG:
        if (e->old.algo == DIGEST_NONE)
            return "tagged";
        return digest_equal(&e->old, e->digest.algo != DIGEST_NONE ? &e->digest : &e->id)
                   ? "tagged-again"
                   : "moved";
    case EVENT_UNTAG:
        return "untagged";
    case EVENT_MANIFEST:
        return "pushed";
    case EVENT_DELETE:
        return "deleted";
    default:
        return NULL;
    }
}

static void
fill_deed_of_event(struct deed *d, const struct rec_event *e)
{
    *d = (struct deed){.time = e->time,
                       .user = e->actor,
                       .what = word_of_event(e),
                       .repository = e->repository,
                       .tag = e->tag,
                       .about = "",
                       .times = 1};
    digest_text(d->digest, e->digest.algo != DIGEST_NONE ? &e->digest : &e->id);
    if (d->what != NULL && strcmp(d->what, "moved") == 0)
        digest_text(d->old, &e->old);
}

/* 1: *e is the next event; 0: there is none; -1. */
static int
look_at_event(struct event_source *s, const struct rec_event **e, struct err *err)
{
    if (s->at == s->n) {
        if (outbox_peek(s->reg, s->after, s->page, PAGE, &s->n, err) != 0)
            return -1;
        s->at = 0;
        if (s->n > 0)
            s->after = s->page[s->n - 1].seq;
    }
    *e = s->at < s->n ? &s->page[s->at].event : NULL;
    return *e != NULL;
}

/* ---- files ---- */

static void
go_to_next_line(struct file_source *s)
{
    s->is_there = audit_file_next(&s->reader, &s->line) == 1;
}

static void
open_file_source(struct file_source *s, int dirfd, const char *name)
{
    audit_file_open(&s->reader, dirfd, name);
    go_to_next_line(s);
}

static void
fill_deed_of_line(struct deed *d, const struct audit_line *l)
{
    *d = (struct deed){.time = l->time,
                       .user = l->user,
                       .what = l->what,
                       .repository = "",
                       .tag = "",
                       .about = l->about,
                       .times = l->times};
}

/* ---- printing ---- */

/* No name can look like two columns, or move the cursor of a terminal. */
static void
escape_user(char out[SHOWN_USER], const char *user)
{
    size_t n = 0;

    for (const char *p = *user != '\0' ? user : "-"; *p != '\0' && n + 5 < SHOWN_USER; p++) {
        bool is_plain = *p > 0x20 && *p < 0x7f && *p != '\\';

        n += (size_t)snprintf(out + n, SHOWN_USER - n, is_plain ? "%c" : "\\x%02x",
                              is_plain ? *p : (unsigned char)*p);
    }
    out[n] = '\0';
}

static void
print_deed_line(const struct deed *d)
{
    char time[CLOCK_RFC3339_MAX], user[SHOWN_USER], what[SHOWN_USER], about[SHOWN_USER];

    clock_rfc3339(time, d->time);
    escape_user(user, d->user);
    escape_user(what, d->what); /* in the files, which hooks can write */
    escape_user(about, d->about);
    printf("%s  %-16s  %-12s  ", time, user, what);
    if (*d->repository != '\0')
        printf("%s%s%s", d->repository, *d->tag != '\0' ? ":" : "", d->tag);
    else
        fputs(*d->about != '\0' ? about : "-", stdout);
    if (d->digest[0] != '\0')
        printf("  %s", d->digest);
    if (d->old[0] != '\0')
        printf("  before: %s", d->old);
    if (d->times > 1)
        printf("  %llu times", (unsigned long long)d->times);
    putchar('\n');
}

/* Of texts from outside: any bytes, at most 128. */
static void
set_given_text(struct json *j, const char *name, const char *value)
{
    char text[AUDIT_FILE_TEXT];

    snprintf(text, sizeof text, "%s", value);
    utf8_mend(text);
    json_set_string(j, name, text);
}

static void
print_deed_json(const struct deed *d)
{
    char time[CLOCK_RFC3339_MAX];
    struct json *j = json_new_object();

    clock_rfc3339(time, d->time);
    json_set_string(j, "time", time);
    set_given_text(j, "user", d->user);
    json_set_string(j, "what", d->what);
    if (*d->repository != '\0')
        json_set_string(j, "repository", d->repository);
    if (*d->tag != '\0')
        json_set_string(j, "tag", d->tag);
    if (d->digest[0] != '\0')
        json_set_string(j, "digest", d->digest);
    if (d->old[0] != '\0')
        json_set_string(j, "before", d->old);
    if (*d->about != '\0')
        set_given_text(j, "about", d->about);
    json_set_u64(j, "times", d->times > 1 ? d->times : 1);
    command_print("", j, "\n");
}

static bool
is_wanted_deed(const struct audit *a, const struct deed *d)
{
    const char *user = *d->user != '\0' ? d->user : "-";

    return d->what != NULL && d->time >= a->since &&
           (*a->user == '\0' || strcmp(user, a->user) == 0) &&
           (!a->has_glob ||
            (*d->repository != '\0' && glob_match(&a->glob, bytes_str(d->repository))));
}

/* ---- all of it, in the order of time ---- */

/* The line that comes before that time; NULL: none. */
static struct file_source *
choose_line(struct audit *a, uint64_t before)
{
    struct file_source *first = NULL;

    for (size_t i = 0; i < 2; i++) {
        struct file_source *s = &a->files[i];

        if (s->is_there && s->line.time <= before &&
            (first == NULL || s->line.time < first->line.time))
            first = s;
    }
    return first;
}

/* 1: there may be more; 0: it was the end; -1. */
static int
print_next_deed(struct audit *a, struct err *err)
{
    const struct rec_event *e;
    struct file_source *line;
    struct deed d;
    int rc = look_at_event(&a->events, &e, err);

    if (rc < 0)
        return -1;
    line = choose_line(a, e != NULL ? e->time : UINT64_MAX);
    if (line == NULL && e == NULL)
        return 0;
    if (line != NULL)
        fill_deed_of_line(&d, &line->line);
    else
        fill_deed_of_event(&d, e);
    if (is_wanted_deed(a, &d)) {
        if (a->json)
            print_deed_json(&d);
        else
            print_deed_line(&d);
    }
    if (line != NULL)
        go_to_next_line(line);
    else
        a->events.at++;
    return 1;
}

/* Events are trimmed, so the list may begin later than it was asked for. */
static int
tell_of_gap(struct audit *a, struct err *err)
{
    const struct rec_event *e;
    char time[CLOCK_RFC3339_MAX];
    uint32_t oldest;
    int rc = outbox_goes_on(a->events.reg, 0, &oldest, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    rc = look_at_event(&a->events, &e, err);
    if (rc == 1 && e->time > a->since) {
        clock_rfc3339(time, e->time);
        command_note("what happened before %s is no longer kept (see --event-keep)", time);
    }
    return rc < 0 ? -1 : 0;
}

static int
print_deeds(struct audit *a, struct err *err)
{
    int rc = tell_of_gap(a, err) == 0 ? 1 : -1;

    while (rc == 1 && !ferror(stdout)) {
        if (control_is_over(a->control))
            return err_set(err, ERR_BUSY, "interrupted");
        for (int i = 0; i < PAGE && rc == 1; i++)
            rc = print_next_deed(a, err);
    }
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the list");
    return rc;
}

enum command_exit
command_audit_work(struct control *c, struct err *err)
{
    struct audit a = {.control = c, .events = {.reg = c->reg}};
    uint64_t since, now = clock_wall_ms();
    int rc = 0;

    if (c->args_n != ARGS || !parse_u64(c->args[ARG_SINCE], strlen(c->args[ARG_SINCE]), &since)) {
        err_set(err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
        return COMMAND_FAILED;
    }
    a.since = now > since ? now - since : 0;
    a.user = c->args[ARG_USER];
    a.json = strcmp(c->args[ARG_FORM], "json") == 0;
    a.has_glob = *c->args[ARG_REPO] != '\0';
    if (a.has_glob)
        rc = glob_compile(&a.glob, bytes_str(c->args[ARG_REPO]), err);
    if (rc != 0)
        return COMMAND_USAGE;
    a.events.page = mem_array(PAGE, sizeof *a.events.page);
    open_file_source(&a.files[0], c->server->dir.fd, AUDIT_FILE_LOGINS);
    open_file_source(&a.files[1], c->server->dir.fd, AUDIT_FILE_COMMANDS);
    rc = print_deeds(&a, err);
    for (size_t i = 0; i < 2; i++)
        audit_file_close(&a.files[i].reader);
    free(a.events.page);
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

enum command_exit
command_audit(struct options *o, struct err *err)
{
    char since[24];
    const char *repo = o->audit_repo != NULL ? o->audit_repo : "";
    const char *args[] = {
        "audit", since, repo, o->audit_user != NULL ? o->audit_user : "", o->json ? "json" : "text",
        NULL};

    options_forget_users(o); /* of a configuration file */
    snprintf(since, sizeof since, "%llu", (unsigned long long)o->since_ms);
    if (o->words.n > 0) {
        err_set(err, ERR_BAD_REQUEST, USAGE);
        return COMMAND_USAGE;
    }
    if (strlen(repo) > GLOB_MAX || !glob_is_closed(bytes_str(repo))) {
        err_set(err, ERR_BAD_REQUEST,
                "--repo: a pattern has at most %d bytes, and each [ in it is closed", GLOB_MAX);
        return COMMAND_USAGE;
    }
    return control_run(o, command_audit_work, args, err);
}
