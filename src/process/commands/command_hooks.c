#include "process/commands/command_hooks.h"
#include <poll.h>
#include "domain/events/event_text.h"
#include "domain/events/hook_queue.h"
#include "process/commands/command_hooks_test.h"
#include "process/herald/herald_protocol.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/parse.h"
#include "util/utf8.h"

/* Time for the herald to list its running hooks. */
#define LOOK_MS 2000
/* More than the largest --hook-jobs. */
#define RUNNING_MAX 128
#define PAGE 50

/* ---- what is running ---- */

struct running {
    uint32_t v[RUNNING_MAX];
    size_t n;
};

/* Without a server or a herald no hook is running. */
static void
find_running(struct running *r)
{
    struct herald_line line;
    struct err ignored;
    struct herald_message *f = mem_alloc(sizeof *f);
    uint64_t until = clock_mono_ms() + LOOK_MS;
    r->n = 0;
    if (herald_protocol_connect(&line, SERVER_FEED_NAME, &ignored) < 0) {
        free(f);
        return;
    }
    f->type = HERALD_LOOK;
    herald_protocol_send(&line, f);
    while (line.fd >= 0 && clock_mono_ms() < until) {
        struct pollfd p = {.fd = line.fd, .events = POLLIN};
        if (poll(&p, 1, 100) != 1 || herald_protocol_receive(&line, f) != 1)
            continue;
        if (f->type == HERALD_HELLO)
            break;
        if (f->type == HERALD_RUNNING && r->n < RUNNING_MAX)
            r->v[r->n++] = f->seq;
    }
    herald_protocol_close(&line);
    free(f);
}

static const char *
state_of(const struct tbl_hook *h, const struct running *r)
{
    if (h->state == TBL_HOOK_FAILED)
        return "failed";
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i] == h->seq)
            return "running";
    return "waiting";
}

/* ---- the list ---- */

/* The last line of a hook may have any bytes, but here it is one field of one line. */
static void
make_field(char *text)
{
    text[utf8_make_plain(text, strlen(text))] = '\0';
    for (char *p = text; (p = strchr(p, '\t')) != NULL;)
        *p = ' ';
}

static void
print_line(const struct tbl_hook *h, const char *state)
{
    const struct rec_event *e = &h->record.event;
    char digest[DIGEST_TEXT_MAX], line[sizeof h->record.line];
    bool tag = e->tag[0] != '\0';
    const char *mark;

    digest_text(digest, &e->digest);
    mark = tag ? ":" : digest[0] != '\0' ? "@" : "";
    memcpy(line, h->record.line, sizeof line);
    make_field(line);
    printf("%lu\t%s\t%lu\t%s\t%s%s%s\t%s\n", (unsigned long)h->seq, state,
           (unsigned long)h->record.tries, event_text_type(e->type), e->repository, mark,
           tag ? e->tag : digest, line);
}

static void
print_json(const struct tbl_hook *h, const char *state, bool first)
{
    const struct rec_event *e = &h->record.event;
    char digest[DIGEST_TEXT_MAX], time[CLOCK_RFC3339_MAX], due[CLOCK_RFC3339_MAX] = "";
    char line[sizeof h->record.line];
    struct json *j = json_new_object();

    digest_text(digest, &e->digest);
    clock_rfc3339(time, e->time);
    if (h->state == TBL_HOOK_WAITING && h->record.due > 0)
        clock_rfc3339(due, h->record.due);
    memcpy(line, h->record.line, sizeof line);
    make_field(line);
    json_set_u64(j, "id", h->seq);
    json_set_string(j, "state", state);
    json_set_u64(j, "tries", h->record.tries);
    json_set_string(j, "name", event_text_type(e->type));
    json_set_string(j, "repository", e->repository);
    json_set_string(j, "tag", e->tag);
    json_set_string(j, "digest", digest);
    json_set_string(j, "time", time);
    json_set_string(j, "due", due);
    json_set_string(j, "line", line);
    command_print(first ? "" : ",\n", j, "");
}

/* Reads a page at a time, so that nothing is locked while the output waits in a pager. */
static enum command_exit
list_hooks(struct control *c, bool json, struct err *err)
{
    struct tbl_hook *v = mem_array(PAGE, sizeof *v);
    struct tbl_hook last;
    struct running running;
    size_t n = PAGE, total = 0;
    int rc = 0;
    find_running(&running);
    if (json)
        putchar('[');
    while (rc == 0 && n == PAGE && !control_is_over(c) && !ferror(stdout)) {
        rc = hook_queue_list(c->reg, total > 0 ? &last : NULL, v, PAGE, &n, err);
        for (size_t i = 0; rc == 0 && i < n; i++, total++) {
            if (json)
                print_json(&v[i], state_of(&v[i], &running), total == 0);
            else
                print_line(&v[i], state_of(&v[i], &running));
        }
        if (n > 0)
            last = v[n - 1];
    }
    if (json)
        puts("]");
    free(v);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the list");
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- one of them ---- */

static enum command_exit
change_hook(struct control *c, bool retry, const char *id, struct err *err)
{
    uint64_t seq;
    int rc = 0;
    if (parse_u64(id, strlen(id), &seq) && seq <= UINT32_MAX)
        rc = retry ? hook_queue_retry(c->reg, (uint32_t)seq, err)
                   : hook_queue_drop(c->reg, (uint32_t)seq, err);
    if (rc == 0)
        err_set(err, ERR_BAD_REQUEST, "there is no waiting or failed hook %s", id);
    if (rc != 1)
        return COMMAND_FAILED;
    if (c->poke >= 0)
        server_poke(c->poke, SERVER_POKE_HOOKS);
    return COMMAND_DONE;
}

enum command_exit
command_hooks_work(struct control *c, struct err *err)
{
    const char *what = c->args_n > 1 ? c->args[1] : "";
    if (c->args_n == 2 && (strcmp(what, "list") == 0 || strcmp(what, "json") == 0))
        return list_hooks(c, strcmp(what, "json") == 0, err);
    if (c->args_n == 3 && (strcmp(what, "retry") == 0 || strcmp(what, "drop") == 0))
        return change_hook(c, strcmp(what, "retry") == 0, c->args[2], err);
    if (c->args_n == 4 && strcmp(what, "test") == 0)
        return command_hooks_test(c, c->args[2], c->args[3], err);
    err_set(err, ERR_UNSUPPORTED,
            "the running server has another version, without this command: restart it");
    return COMMAND_FAILED;
}

/* ---- the caller's side ---- */

static bool
is_hook_id(const char *text)
{
    uint64_t value;
    return parse_u64(text, strlen(text), &value) && value > 0 && value <= UINT32_MAX;
}

enum command_exit
command_hooks(struct options *o, struct err *err)
{
    const struct options_list *w = &o->words;
    const char *id = o->retry != NULL ? o->retry : o->drop;
    const char *args[5] = {"hooks", o->json ? "json" : "list"};
    bool test = w->n == 3 && strcmp(w->v[0], "test") == 0;
    bool alone;

    options_forget_users(o); /* of a configuration file */
    if (test) {
        args[1] = "test";
        args[2] = w->v[1];
        args[3] = w->v[2];
    } else if (id != NULL) {
        args[1] = o->retry != NULL ? "retry" : "drop";
        args[2] = id;
    }
    alone = !o->json && (o->retry == NULL || o->drop == NULL);
    if ((w->n > 0 && (!test || id != NULL || o->json)) || (id != NULL && !alone)) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server hooks [--json | --retry ID | --drop ID], or hooks "
                "test HOOK NAME[:TAG], with --dir, --config and --run-as as for the server");
        return COMMAND_USAGE;
    }
    if (id != NULL && !is_hook_id(id)) {
        err_set(err, ERR_BAD_REQUEST, "%s is not an ID: the first column of \"hooks\" has the IDs",
                id);
        return COMMAND_USAGE;
    }
    return control_run(o, command_hooks_work, args, err);
}
