#include "process/commands/show_screen.h"
#include <inttypes.h>
#include "process/commands/command.h"
#include "process/commands/progress.h"
#include "util/utf8.h"

/* Lines of one list of a config: variables, labels. */
#define LINES_MAX 50
/* Bytes of NAME:TAG or NAME@DIGEST. */
#define SHOW_NAME_MAX 512

struct show_page {
    const struct json *facts;
    bool has_colour;
};

/* ---- texts ---- */

static void
put_clean(const char *text)
{
    command_print_text(bytes_str(text));
}

/* A text as it is, anything else as JSON. */
static void
put_json_value(const struct json *value)
{
    struct json *copy;
    const char *text = json_string(value);
    size_t n;

    if (text != NULL) {
        put_clean(text);
        return;
    }
    copy = json_copy(value);
    text = json_text(copy, &n);
    command_print_text(bytes_of(text, n));
    json_free(copy);
}

/* Nothing for a member that is missing or empty. */
static void
print_member(const struct json *object, const char *member, const char *label)
{
    const struct json *value = json_member(object, member);
    const char *text = json_string(value);

    if (value == NULL || (text != NULL && *text == '\0') ||
        (json_type(value) == JSON_ARRAY && json_length(value) == 0))
        return;
    printf("  %-12s ", label);
    put_json_value(value);
    putchar('\n');
}

static void
show_size(char out[PROGRESS_SIZE_MAX], const struct json *object, const char *member)
{
    uint64_t size;

    if (json_u64(json_member(object, member), &size))
        progress_size(out, size);
    else
        snprintf(out, PROGRESS_SIZE_MAX, "?");
}

static const char *
text_of_member(const struct json *object, const char *member)
{
    const char *text = json_string(json_member(object, member));

    return text != NULL ? text : "";
}

/* ---- parts of the page ---- */

static void
print_head(const struct show_page *p)
{
    const struct json *f = p->facts;
    char size[PROGRESS_SIZE_MAX], name[SHOW_NAME_MAX];
    const char *tag = text_of_member(f, "tag");

    snprintf(name, sizeof name, "%s%s%s", text_of_member(f, "repository"), *tag != '\0' ? ":" : "@",
             *tag != '\0' ? tag : text_of_member(f, "digest"));
    command_print_heading(stdout, name, p->has_colour);
    print_member(f, "digest", "digest");
    printf("  %-12s %s, ", "is", text_of_member(f, "is"));
    put_clean(text_of_member(f, "media_type"));
    putchar('\n');
    print_member(f, "artifact_type", "of type");
    print_member(f, "platform", "platform");
    show_size(size, f, "total_size");
    printf("  %-12s %s with all that it needs; the manifest alone ", "size", size);
    show_size(size, f, "size");
    puts(size);
    print_member(f, "pushed", "pushed");
    if (*tag != '\0') {
        printf("  %-12s %s", "tagged", text_of_member(f, "tagged"));
        if (*text_of_member(f, "by") != '\0') {
            fputs(" by ", stdout);
            put_clean(text_of_member(f, "by"));
        }
        putchar('\n');
    }
    if (json_has(f, "last_pull") && json_member(f, "last_pull") == NULL)
        printf("  %-12s none since %s\n", "last pull", text_of_member(f, "pulls_since"));
    print_member(f, "last_pull", "last pull");
    print_member(f, "subject", "subject");
    print_member(f, "annotations", "annotations");
}

static int
print_label(const char *name, const struct json *value, void *arg)
{
    size_t *n = arg;

    if (++*n > LINES_MAX)
        return 0;
    fputs("    ", stdout);
    put_clean(name);
    putchar('=');
    put_json_value(value);
    putchar('\n');
    return 0;
}

static void
print_more(size_t n)
{
    if (n > LINES_MAX)
        printf("    ... and %zu more\n", n - LINES_MAX);
}

static void
print_environment(const struct json *run)
{
    const struct json *env = json_member(run, "Env"), *labels = json_member(run, "Labels");
    size_t n = 0;

    if (json_length(env) > 0)
        puts("  environment");
    for (size_t i = 0; i < json_length(env) && i < LINES_MAX; i++) {
        fputs("    ", stdout);
        put_json_value(json_item(env, i));
        putchar('\n');
    }
    print_more(json_length(env));
    if (json_type(labels) != JSON_OBJECT)
        return;
    puts("  labels");
    json_each(labels, print_label, &n);
    print_more(n);
}

static void
print_config(const struct show_page *p)
{
    const struct json *config = json_member(p->facts, "config");
    const struct json *run = json_member(json_member(config, "document"), "config");
    char size[PROGRESS_SIZE_MAX];

    if (config == NULL)
        return;
    command_print_heading(stdout, "config", p->has_colour);
    print_member(config, "digest", "digest");
    show_size(size, config, "size");
    printf("  %-12s %s\n", "size", size);
    print_member(json_member(config, "document"), "created", "created");
    print_member(json_member(config, "document"), "author", "author");
    print_member(run, "User", "user");
    print_member(run, "WorkingDir", "directory");
    print_member(run, "Entrypoint", "entrypoint");
    print_member(run, "Cmd", "command");
    print_member(run, "ExposedPorts", "ports");
    print_member(run, "Volumes", "volumes");
    print_member(run, "StopSignal", "stop signal");
    if (json_type(run) == JSON_OBJECT)
        print_environment(run);
}

/* Each line: size, digest, and what else is known of it. */
static void
print_descriptors(const struct show_page *p, const char *member, const char *first,
                  const char *second)
{
    const struct json *list = json_member(p->facts, member);

    if (json_length(list) == 0)
        return;
    command_print_heading(stdout, member, p->has_colour);
    for (size_t i = 0; i < json_length(list); i++) {
        const struct json *d = json_item(list, i);
        char size[PROGRESS_SIZE_MAX];

        show_size(size, d, "size");
        printf("  %10s  %s  ", size, text_of_member(d, "digest"));
        put_clean(text_of_member(d, *text_of_member(d, first) != '\0' ? first : second));
        puts(json_is_true(json_member(d, "missing")) ? "  (not here)" : "");
    }
}

void
show_screen_print(const struct json *facts, bool has_colour)
{
    struct show_page p = {facts, has_colour};

    print_head(&p);
    print_config(&p);
    print_descriptors(&p, "layers", "media_type", "media_type");
    print_descriptors(&p, "manifests", "platform", "media_type");
    print_descriptors(&p, "referrers", "artifact_type", "media_type");
    if (json_is_true(json_member(facts, "more_referrers")))
        puts("  ... and more");
    command_print_heading(stdout, "kept by", has_colour);
}
