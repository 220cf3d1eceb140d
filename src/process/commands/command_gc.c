#include "process/commands/command_gc.h"
#include "domain/core/garbage_round.h"
#include "process/commands/progress.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/parse.h"

#define USAGE                                                                              \
    "usage: docker-registry-server gc [--dry-run] [--untagged AGE] [--json], with --dir, " \
    "--config and --run-as as for the server"

/* Lines of each kind in the list for people; JSON has all. */
#define LINES_MAX 100
/* At most this many entries that wait are listed, ordered by the time when they go. */
#define WAITING_MAX 20

static const char *const kind_names[GARBAGE_KINDS] = {"manifest", "image", "blob", "file"};

struct waiting {
    uint64_t until, size;
    enum garbage_kind kind;
    bool is_history;
    char name[RECORD_REPOSITORY_MAX + 1 + DIGEST_TEXT_MAX];
};

struct gc_report {
    struct control *control;
    struct progress progress;
    bool json, dry_run, any;
    uint64_t went[GARBAGE_KINDS], waits[GARBAGE_KINDS];
    uint64_t went_bytes, waiting_bytes;
    uint64_t first_until, last_until;
    struct waiting list[WAITING_MAX]; /* those that go first, in this order */
    size_t list_n;
};

/* ---- one thing ---- */

static void
print_item_json(struct gc_report *r, const struct garbage_item *item, const char *digest)
{
    struct json *j = json_new_object();
    char until[CLOCK_RFC3339_MAX];

    json_set_string(j, "what", kind_names[item->kind]);
    json_set_string(j, "digest", digest);
    if (item->repository != NULL)
        json_set_string(j, "repository", item->repository);
    json_set_u64(j, "size", item->size);
    json_set_string(j, "state", item->until != 0 ? "waits" : r->dry_run ? "would go" : "gone");
    if (item->until != 0) {
        clock_rfc3339(until, item->until);
        json_set_string(j, "until", until);
        json_set_string(j, "for", item->is_history ? "history" : "lease");
    }
    command_print(r->any ? ",\n  " : "\n  ", j, "");
    r->any = true;
}

static void
name_item(char *out, size_t room, const struct garbage_item *item, const char *digest)
{
    bool is_manifest = item->repository != NULL;

    snprintf(out, room, "%s%s%s", is_manifest ? item->repository : "", is_manifest ? "@" : "",
             digest);
}

static void
print_item_line(const char *what, const char *size, const char *name, const char *behind)
{
    printf("%-9s %-9s %s%s\n", what, size, name, behind);
}

/* Keeps those that go first. */
static void
add_waiting(struct gc_report *r, const struct garbage_item *item, const char *digest)
{
    size_t at = r->list_n;

    while (at > 0 && r->list[at - 1].until > item->until)
        at--;
    if (at == WAITING_MAX)
        return;
    if (r->list_n < WAITING_MAX)
        r->list_n++;
    memmove(&r->list[at + 1], &r->list[at], (r->list_n - at - 1) * sizeof *r->list);
    r->list[at].until = item->until;
    r->list[at].size = item->size;
    r->list[at].kind = item->kind;
    r->list[at].is_history = item->is_history;
    name_item(r->list[at].name, sizeof r->list[at].name, item, digest);
}

static void
count_waiting_item(struct gc_report *r, const struct garbage_item *item, const char *digest)
{
    r->waits[item->kind]++;
    if (item->kind != GARBAGE_MANIFEST)
        r->waiting_bytes += item->size;
    if (r->first_until == 0 || item->until < r->first_until)
        r->first_until = item->until;
    if (item->until > r->last_until)
        r->last_until = item->until;
    add_waiting(r, item, digest);
}

static void
tell_gc_item(const struct garbage_item *item, void *arg)
{
    struct gc_report *r = arg;
    char digest[DIGEST_TEXT_MAX], size[PROGRESS_SIZE_MAX];
    char name[RECORD_REPOSITORY_MAX + 1 + DIGEST_TEXT_MAX];

    digest_text(digest, item->digest);
    if (item->until != 0)
        count_waiting_item(r, item, digest);
    else if (item->kind != GARBAGE_MANIFEST)
        r->went_bytes += item->size;
    if (item->until == 0)
        r->went[item->kind]++;
    if (r->json) {
        print_item_json(r, item, digest);
    } else if (item->until == 0 && r->went[item->kind] <= LINES_MAX) {
        progress_end(&r->progress);
        progress_size(size, item->size);
        name_item(name, sizeof name, item, digest);
        print_item_line(kind_names[item->kind], size, name,
                        r->went[item->kind] == LINES_MAX ? " (no more of these are listed)" : "");
    }
}

static void
show_gc(const char *what, uint64_t n, void *arg)
{
    struct gc_report *r = arg;

    progress_tell(&r->progress, "collecting garbage: %s: %llu", what, (unsigned long long)n);
}

static bool
gc_is_over(void *arg)
{
    const struct gc_report *r = arg;

    return control_is_over(r->control) || ferror(stdout);
}

/* ---- the end ---- */

static void
print_counts(const char *what, const uint64_t n[GARBAGE_KINDS], uint64_t bytes)
{
    uint64_t files = n[GARBAGE_BLOB] + n[GARBAGE_FILE];
    char size[PROGRESS_EXACT_MAX];

    progress_exact_size(size, bytes);
    printf("%s: %llu manifest%s, %llu image%s of the first API, %llu blob%s, %llu file%s; %s\n",
           what, (unsigned long long)n[GARBAGE_MANIFEST], progress_plural(n[GARBAGE_MANIFEST]),
           (unsigned long long)n[GARBAGE_IMAGE], progress_plural(n[GARBAGE_IMAGE]),
           (unsigned long long)n[GARBAGE_BLOB], progress_plural(n[GARBAGE_BLOB]),
           (unsigned long long)files, progress_plural(files), size);
}

static void
print_gc_text(const struct gc_report *r)
{
    char size[PROGRESS_SIZE_MAX], until[CLOCK_RFC3339_MAX], behind[CLOCK_RFC3339_MAX + 40];
    uint64_t waits = 0;

    print_counts(r->dry_run ? "would go" : "gone", r->went, r->went_bytes);
    for (size_t i = 0; i < GARBAGE_KINDS; i++)
        waits += r->waits[i];
    if (waits == 0)
        return;
    print_counts("wait", r->waits, r->waiting_bytes);
    for (size_t i = 0; i < r->list_n; i++) {
        clock_rfc3339(until, r->list[i].until);
        snprintf(behind, sizeof behind, " until %s%s", until,
                 r->list[i].is_history ? " (history of a tag)" : " (lease)");
        progress_size(size, r->list[i].size);
        print_item_line(kind_names[r->list[i].kind], size, r->list[i].name, behind);
    }
    if (waits > r->list_n)
        printf("... and %llu more; the last one until", (unsigned long long)(waits - r->list_n));
    clock_rfc3339(until, r->last_until);
    if (waits > r->list_n)
        printf(" %s\n", until);
}

static struct json *
counts_as_json(const uint64_t n[GARBAGE_KINDS], uint64_t bytes)
{
    struct json *j = json_new_object();

    json_set_u64(j, "manifests", n[GARBAGE_MANIFEST]);
    json_set_u64(j, "images", n[GARBAGE_IMAGE]);
    json_set_u64(j, "blobs", n[GARBAGE_BLOB]);
    json_set_u64(j, "files", n[GARBAGE_BLOB] + n[GARBAGE_FILE]);
    json_set_u64(j, "bytes", bytes);
    return j;
}

static void
print_gc_json(const struct gc_report *r)
{
    struct json *waits = counts_as_json(r->waits, r->waiting_bytes);
    char until[CLOCK_RFC3339_MAX];

    if (r->last_until != 0) {
        clock_rfc3339(until, r->first_until);
        json_set_string(waits, "first_until", until);
        clock_rfc3339(until, r->last_until);
        json_set_string(waits, "last_until", until);
    }
    printf("%s],\n\"dry_run\":%s,\n", r->any ? "\n" : "", r->dry_run ? "true" : "false");
    command_print("\"gone\":", counts_as_json(r->went, r->went_bytes), ",\n");
    command_print("\"waits\":", waits, "}\n");
}

enum command_exit
command_gc_work(struct control *c, struct err *err)
{
    struct gc_report r = {.control = c};
    struct garbage_round round = {
        .reg = c->reg, .tell = tell_gc_item, .show = show_gc, .is_over = gc_is_over, .arg = &r};
    int rc;

    if (c->args_n != 5) {
        err_set(err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
        return COMMAND_FAILED;
    }
    r.dry_run = round.dry_run = strcmp(c->args[1], "dry-run") == 0;
    if (c->reg->read_only && !r.dry_run) {
        err_set(err, ERR_READ_ONLY,
                "this registry is read-only at the moment, and nothing is deleted; --dry-run shows "
                "what would go");
        return COMMAND_FAILED;
    }
    r.json = strcmp(c->args[2], "json") == 0;
    round.untagged_ms = c->reg->gc_untagged_ms;
    round.has_untagged = round.untagged_ms > 0;
    round.by = c->args[4];
    if (parse_duration_ms(c->args[3], &round.untagged_ms))
        round.has_untagged = true;
    progress_begin(&r.progress);
    if (r.json)
        fputs("{\"items\":[", stdout);
    rc = garbage_round_run(&round, err);
    progress_end(&r.progress);
    if (rc == 0 && gc_is_over(&r))
        rc = err_set(err, ERR_BUSY, "interrupted: what went is gone, and the rest is as it was");
    if (rc == 0 && r.json)
        print_gc_json(&r);
    else if (rc == 0)
        print_gc_text(&r);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the list");
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

enum command_exit
command_gc(struct options *o, struct err *err)
{
    char who[COMMAND_ACTOR_MAX];
    const char *args[] = {"gc",
                          o->dry_run ? "dry-run" : "run",
                          o->json ? "json" : "text",
                          o->untagged != NULL ? o->untagged : "-",
                          who,
                          NULL};
    uint64_t age;

    command_actor(who);
    options_forget_users(o); /* of a configuration file */
    if (o->words.n > 0) {
        err_set(err, ERR_BAD_REQUEST, USAGE);
        return COMMAND_USAGE;
    }
    if (o->untagged != NULL && !parse_duration_ms(o->untagged, &age)) {
        err_set(err, ERR_BAD_REQUEST, "--untagged %s: must be a time like 90s, 10m, 6h or 30d",
                o->untagged);
        return COMMAND_USAGE;
    }
    return control_run(o, command_gc_work, args, err);
}
