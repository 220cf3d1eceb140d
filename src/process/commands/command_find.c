#include "process/commands/command_find.h"
#include "domain/access/access.h"
#include "domain/inside/image_search.h"
#include "process/commands/progress.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/mem.h"
#include "util/utf8.h"

#define USAGE                                                                                \
    "usage: docker-registry-server find [--label KEY[=VALUE]] [GLOB] [--json], with --dir, " \
    "--config "                                                                              \
    "and --run-as as for the server"

/* Hits and milliseconds of one search. The command continues it until the end. */
#define FIND_STEP_HITS 10000
#define FIND_STEP_MS 10000

struct find_output {
    bool is_json;
};

static void
set_found_file(struct json *j, const struct image_search_hit *hit)
{
    char text[DIGEST_TEXT_MAX], *path = mem_alloc(hit->path.n + 1);

    memcpy(path, hit->path.p, hit->path.n);
    path[hit->path.n] = '\0';
    utf8_mend(path);
    json_set_string(j, "path", path);
    json_set_u64(j, "size", hit->entry->type == LAYER_FILE ? hit->entry->size : 0);
    digest_text(text, hit->layer);
    json_set_string(j, "layer", text);
    free(path);
}

static void
print_hit_json(const struct image_search_hit *hit)
{
    struct json *j = json_new_object();
    char text[DIGEST_TEXT_MAX];

    json_set_string(j, "repository", hit->repository);
    json_set_string(j, "tag", hit->tag);
    digest_text(text, hit->image);
    json_set_string(j, "digest", text);
    json_set_string(j, "platform", hit->platform);
    if (hit->label != NULL)
        json_set_string(j, "label", hit->label);
    if (hit->entry != NULL)
        set_found_file(j, hit);
    command_print("", j, "\n");
}

static int
print_hit(void *arg, const struct image_search_hit *hit, struct err *err)
{
    struct find_output *o = arg;

    if (o->is_json) {
        print_hit_json(hit);
    } else {
        printf("%s:%s ", hit->repository, hit->tag);
        command_print_text(hit->entry != NULL ? hit->path : bytes_str(hit->label));
        if (hit->platform[0] != '\0') {
            fputs(" (", stdout);
            command_print_text(bytes_str(hit->platform));
            putchar(')');
        }
        putchar('\n');
    }
    return ferror(stdout) ? err_errno(err, "cannot write the answer") : 0;
}

static void
note_skipped(uint64_t n, bool has_label, bool has_pattern)
{
    command_note(
        "%llu image%s skipped: %s%s%s", (unsigned long long)n, progress_plural(n),
        has_pattern ? "the layers can't be looked into, or aren't indexed yet" : "",
        has_pattern && has_label ? "; or " : "",
        has_label ? "the config is missing, no JSON, or too large to be read (4 MiB, 10,000 values)"
                  : "");
}

/* Ends also if a step gets nowhere. */
static int
find_in_steps(struct image_search *s, uint64_t *skipped, struct err *err)
{
    struct search_place before;
    int rc;

    *skipped = 0;
    do {
        before = s->after;
        s->until = clock_mono_ms() + FIND_STEP_MS;
        rc = image_search_run(s, err);
        *skipped += s->skipped;
        s->after = s->last;
    } while (rc == 0 && s->more && memcmp(&before, &s->last, sizeof before) != 0);
    return rc;
}

enum command_exit
command_find_work(struct control *c, struct err *err)
{
    const struct actor all = {.user = "", .address = "", .administrator = true};
    struct find_output output = {.is_json = false};
    struct image_search s = {
        .reg = c->reg, .actor = &all, .limit = FIND_STEP_HITS, .fn = print_hit, .arg = &output};
    struct layer_pattern pattern;
    struct image_label label;
    uint64_t skipped;
    int rc = 0;

    if (c->args_n != 3 && c->args_n != 4) {
        err_set(err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
        return COMMAND_FAILED;
    }
    output.is_json = strcmp(c->args[2], "json") == 0;
    s.text = bytes_str(c->args[1]);
    if (s.text.n > 0) {
        s.pattern = &pattern;
        rc = layer_find_pattern(&pattern, s.text, err);
    }
    if (c->args_n == 4 && rc == 0) {
        s.label = &label;
        rc = image_label_parse(&label, c->args[3], err);
    }
    if (rc == 0)
        rc = find_in_steps(&s, &skipped, err);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the answer");
    if (rc == 0 && skipped > 0)
        note_skipped(skipped, s.label != NULL, s.pattern != NULL);
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

enum command_exit
command_find(struct options *o, struct err *err)
{
    const char *args[] = {"find", o->words.n == 1 ? o->words.v[0] : "", o->json ? "json" : "text",
                          o->label, NULL};
    struct image_label label;

    options_forget_users(o); /* of a configuration file */
    if (o->words.n > 1 || (args[1][0] == '\0' && (o->label == NULL || o->words.n == 1))) {
        err_set(err, ERR_BAD_REQUEST, USAGE);
        return COMMAND_USAGE;
    }
    if (o->label != NULL && image_label_parse(&label, o->label, err) != 0)
        return COMMAND_USAGE;
    return control_run(o, command_find_work, args, err);
}
