#include "process/commands/command_show.h"
#include "domain/core/config.h"
#include "domain/core/explain.h"
#include "domain/core/pull.h"
#include "domain/core/referrers.h"
#include "domain/core/repository.h"
#include "domain/retention/last_pull.h"
#include "process/commands/explain_view.h"
#include "process/commands/image_name.h"
#include "process/commands/show_screen.h"
#include "process/commands/stat_screen.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl_pull.h"
#include "storage/tables/tbl_tag.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/utf8.h"

#define USAGE                                                                           \
    "usage: docker-registry-server show NAME:TAG or NAME@DIGEST [--json], with --dir, " \
    "--config and --run-as as for the server"
#define MEMORY_MAX (96u << 20)
/* Bytes of the documents of an index's manifests that are read for the sum of their sizes. */
#define CHILDREN_READ_MAX (16u << 20)
#define REFERRERS_MAX 100

struct sized {
    struct digest digest;
    uint64_t size;
};

struct show_work {
    const struct registry *reg;
    struct image_name name;
    struct rec_repo repo;
    struct arena arena;
    struct pulled pulled;
    struct json *document; /* the manifest */
    struct manifest parsed;
    struct json *facts;  /* what is shown */
    struct sized *parts; /* all that it consists of */
    size_t parts_n, parts_room;
    uint64_t read; /* bytes of documents of an index's manifests */
};

static void
set_shown_time(struct json *j, const char *name, uint64_t ms)
{
    char time[CLOCK_RFC3339_MAX];

    clock_rfc3339(time, ms);
    if (ms != 0)
        json_set_string(j, name, time);
}

static const char *
text_of(const struct json *object, const char *member)
{
    const char *text = json_string(json_member(object, member));

    return text != NULL ? text : "";
}

/* ---- sizes ---- */

static void
note_part(struct show_work *w, const struct json *descriptor)
{
    const char *text = text_of(descriptor, "digest");
    struct sized part;
    struct err ignored;

    if (!json_u64(json_member(descriptor, "size"), &part.size) ||
        digest_parse(&part.digest, text, strlen(text), &ignored) != 0)
        return;
    w->parts = mem_grow(w->parts, &w->parts_room, w->parts_n + 1, sizeof *w->parts);
    w->parts[w->parts_n++] = part;
}

static void
note_parts(struct show_work *w, const struct json *manifest)
{
    const struct json *layers = json_member(manifest, "layers");

    note_part(w, json_member(manifest, "config"));
    for (size_t i = 0; i < json_length(layers); i++)
        note_part(w, json_item(layers, i));
}

static int
compare_sized(const void *a, const void *b)
{
    return digest_compare(&((const struct sized *)a)->digest, &((const struct sized *)b)->digest);
}

/* A layer that several images have counts once. */
static uint64_t
sum_parts(struct show_work *w)
{
    uint64_t sum = w->pulled.size;

    if (w->parts_n > 0)
        qsort(w->parts, w->parts_n, sizeof *w->parts, compare_sized);
    for (size_t i = 0; i < w->parts_n; i++)
        if (i == 0 || compare_sized(&w->parts[i - 1], &w->parts[i]) != 0)
            sum += w->parts[i].size;
    return sum;
}

/* ---- the manifest ---- */

static struct json *
descriptor_facts(const struct json *d)
{
    struct json *j = json_new_object();
    uint64_t size;

    json_set_string(j, "digest", text_of(d, "digest"));
    if (json_u64(json_member(d, "size"), &size))
        json_set_u64(j, "size", size);
    if (*text_of(d, "mediaType") != '\0')
        json_set_string(j, "media_type", text_of(d, "mediaType"));
    if (*text_of(d, "artifactType") != '\0')
        json_set_string(j, "artifact_type", text_of(d, "artifactType"));
    return j;
}

/* "linux/arm64/v8", of a config or of an entry of an index. */
static void
set_platform_member(struct json *j, const struct json *of)
{
    const char *variant = text_of(of, "variant");
    char *text;

    if (*text_of(of, "os") == '\0' || *text_of(of, "architecture") == '\0')
        return;
    text = mem_printf("%s/%s%s%s", text_of(of, "os"), text_of(of, "architecture"),
                      *variant != '\0' ? "/" : "", variant);
    json_set_string(j, "platform", text);
    free(text);
}

static void
show_layers(struct show_work *w)
{
    const struct json *layers = json_member(w->document, "layers");
    struct json *list = json_new_array();

    for (size_t i = 0; i < json_length(layers); i++)
        json_add(list, descriptor_facts(json_item(layers, i)));
    json_set(w->facts, "layers", list);
}

static int
show_config(struct show_work *w, struct err *err)
{
    const struct json *of = json_member(w->document, "config");
    struct json *doc, *config;
    struct digest digest;
    struct bytes text;
    struct err ignored;
    int rc;

    if (of == NULL ||
        digest_parse(&digest, text_of(of, "digest"), strlen(text_of(of, "digest")), &ignored) != 0)
        return 0;
    config = descriptor_facts(of);
    json_set(w->facts, "config", config);
    rc = config_read(w->reg, &digest, &w->arena, &text, &doc, err);
    if (rc != 1)
        return rc;
    set_platform_member(w->facts, doc);
    json_set(config, "document", json_copy(doc));
    json_free(doc);
    return 0;
}

/* 1 it is here, 0, -1. */
static int
add_child_parts(struct show_work *w, const struct json *of, struct err *err)
{
    const char *text = text_of(of, "digest");
    struct rec_manifest r;
    struct bytes document;
    struct digest digest;
    struct json *doc;
    struct err ignored;
    int rc;

    if (digest_parse(&digest, text, strlen(text), &ignored) != 0)
        return 0;
    rc = tbl_manifest_get(kv_reads(w->reg->kv), w->repo.id, &digest, &r, err);
    if (rc != 1) {
        struct rec_blob blob; /* an index of a build cache names blobs */

        return rc < 0 ? -1 : tbl_blob_get(kv_reads(w->reg->kv), &digest, &blob, err);
    }
    w->read += r.size;
    if (w->read > CHILDREN_READ_MAX)
        return 1;
    rc = pull_document(w->reg, &digest, r.size, &w->arena, &document, err);
    if (rc == 1 && json_parse(document, MANIFEST_DEPTH_MAX, &doc, &ignored) == 0) {
        note_parts(w, doc);
        json_free(doc);
    }
    return rc;
}

static int
show_manifests(struct show_work *w, struct err *err)
{
    const struct json *of = json_member(w->document, "manifests");
    struct json *list = json_new_array();

    json_set(w->facts, "manifests", list);
    for (size_t i = 0; i < json_length(of); i++) {
        struct json *j = descriptor_facts(json_item(of, i));
        int rc;

        json_add(list, j);
        note_part(w, json_item(of, i));
        set_platform_member(j, json_member(json_item(of, i), "platform"));
        rc = add_child_parts(w, json_item(of, i), err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            json_set_bool(j, "missing", true);
    }
    return 0;
}

static int
read_shown_manifest(struct show_work *w, struct err *err)
{
    struct reference reference = {.tag = w->name.tag[0] != '\0' ? w->name.tag : NULL,
                                  .digest = w->name.digest};
    char digest[DIGEST_TEXT_MAX];
    struct bytes document;
    int rc;

    if (pull_manifest(w->reg, w->name.repository, &reference, false, &w->arena, &w->pulled, err) !=
        0)
        return -1;
    digest_text(digest, &w->pulled.digest);
    rc = pull_document(w->reg, &w->pulled.digest, w->pulled.size, &w->arena, &document, err);
    if (rc == 0)
        return err_set(err, ERR_NO_MANIFEST, "manifest %s isn't here any more", digest);
    if (rc < 0 || json_parse(document, MANIFEST_DEPTH_MAX, &w->document, err) != 0 ||
        manifest_parse(&w->parsed, document, w->pulled.media_type, &w->arena, err) != 0)
        return -1;
    json_set_string(w->facts, "digest", digest);
    return 0;
}

static int
show_manifest(struct show_work *w, struct err *err)
{
    const struct json *subject = json_member(w->document, "subject");
    bool is_index = json_has(w->document, "manifests");
    struct rec_manifest r;
    int rc = tbl_manifest_get(kv_reads(w->reg->kv), w->repo.id, &w->pulled.digest, &r, err);

    if (rc < 0)
        return -1;
    json_set_string(w->facts, "media_type", w->pulled.media_type);
    json_set_u64(w->facts, "size", w->pulled.size);
    if (rc == 1)
        set_shown_time(w->facts, "pushed", r.pushed);
    if (subject != NULL)
        json_set_string(w->facts, "subject", text_of(subject, "digest"));
    if (json_has(w->document, "annotations"))
        json_set(w->facts, "annotations", json_copy(json_member(w->document, "annotations")));
    note_parts(w, w->document);
    show_layers(w);
    if (show_config(w, err) != 0 || (is_index && show_manifests(w, err) != 0))
        return -1;
    json_set_string(w->facts, "is", w->parsed.is_image ? "image" : is_index ? "index" : "artifact");
    if (!w->parsed.is_image && *w->parsed.artifact_type != '\0')
        json_set_string(w->facts, "artifact_type", w->parsed.artifact_type);
    if (w->read <= CHILDREN_READ_MAX)
        json_set_u64(w->facts, "total_size", sum_parts(w));
    json_set(w->facts, "manifest", json_copy(w->document));
    return 0;
}

/* ---- tags, pulls, referrers ---- */

/* By this name. */
static int
find_shown_pull(const struct show_work *w, const char *name, uint64_t *last, struct err *err)
{
    struct rec_pull r;
    int rc = tbl_pull_get(kv_reads(w->reg->kv), w->repo.id, name, &r, err);

    if (rc == 1 && r.last > *last)
        *last = r.last;
    return rc < 0 ? -1 : 0;
}

/* Of a tag also pulls by the digest that it names. */
static int
show_pulls(struct show_work *w, struct err *err)
{
    uint64_t since = clock_wall_ms(), last = 0;
    char digest[DIGEST_TEXT_MAX];

    digest_text(digest, &w->pulled.digest);
    if ((w->reg->pulls != NULL && last_pull_flush(w->reg, err) != 0) ||
        tbl_meta_get(kv_reads(w->reg->kv), META_PULLS_SINCE, &since, err) < 0 ||
        (w->name.tag[0] != '\0' && find_shown_pull(w, w->name.tag, &last, err) != 0) ||
        find_shown_pull(w, digest, &last, err) != 0)
        return -1;
    set_shown_time(w->facts, "pulls_since", since);
    json_set(w->facts, "last_pull", NULL);
    set_shown_time(w->facts, "last_pull", last);
    return 0;
}

static int
show_tag(struct show_work *w, struct err *err)
{
    struct rec_tag tag;
    int rc = 0;

    if (w->name.tag[0] != '\0')
        rc = tbl_tag_get(kv_reads(w->reg->kv), w->repo.id, w->name.tag, &tag, err);
    if (rc == 1) {
        set_shown_time(w->facts, "tagged", tag.updated);
        utf8_mend(tag.by);
        json_set_string(w->facts, "by", tag.by);
    }
    return rc < 0 ? -1 : show_pulls(w, err);
}

static int
add_shown_referrer(struct referrer *r, void *arg, struct err *err)
{
    struct json *j = json_new_object();
    char digest[DIGEST_TEXT_MAX];

    (void)err;
    digest_text(digest, &r->digest);
    json_set_string(j, "digest", digest);
    json_set_u64(j, "size", r->size);
    json_set_string(j, "media_type", r->media_type);
    if (*r->artifact_type != '\0')
        json_set_string(j, "artifact_type", r->artifact_type);
    if (r->annotations != NULL)
        json_set(j, "annotations", r->annotations);
    json_add(arg, j);
    return 0;
}

static int
show_referrers(struct show_work *w, struct err *err)
{
    struct referrers_page page = {.after = {.algo = DIGEST_NONE}, .limit = REFERRERS_MAX};
    struct json *list = json_new_array();

    json_set(w->facts, "referrers", list);
    if (referrers_each(w->reg, w->name.repository, &w->pulled.digest, &page, &w->arena,
                       add_shown_referrer, list, err) != 0)
        return -1;
    json_set_bool(w->facts, "more_referrers", page.more);
    return 0;
}

/* ---- the whole ---- */

static int
collect_image_facts(struct show_work *w, const char *text, struct err *err)
{
    if (image_name_parse(&w->name, text, err) != 0 ||
        repository_need(w->reg, w->name.repository, &w->repo, err) != 0)
        return -1;
    json_set_string(w->facts, "repository", w->name.repository);
    if (w->name.tag[0] != '\0')
        json_set_string(w->facts, "tag", w->name.tag);
    if (read_shown_manifest(w, err) != 0 || show_manifest(w, err) != 0 || show_tag(w, err) != 0)
        return -1;
    return show_referrers(w, err);
}

static int
show_keepers(const struct show_work *w, bool json, struct err *err)
{
    struct explain *x = mem_alloc(sizeof *x);
    int rc = explain_digest(w->reg, &w->pulled.digest, x, err);

    if (rc == 1 && json) {
        struct json *kept = json_new_object();

        explain_view_set(kept, w->reg, x);
        json_set(w->facts, "kept", kept);
    }
    if (rc == 1 && !json)
        explain_view_print(w->reg, x);
    free(x);
    return rc < 0 ? -1 : 0;
}

static int
print_facts(struct show_work *w, const char *style, struct err *err)
{
    int rc = 0;

    if (strcmp(style, "json") == 0) {
        rc = show_keepers(w, true, err);
        command_print("", rc == 0 ? json_copy(w->facts) : NULL, "\n");
        return rc;
    }
    show_screen_print(w->facts, strcmp(style, STAT_SCREEN_COLOUR) == 0);
    return show_keepers(w, false, err);
}

enum command_exit
command_show_work(struct control *c, struct err *err)
{
    struct show_work w = {.reg = c->reg, .facts = json_new_object()};
    int rc = -1;

    arena_init(&w.arena, MEMORY_MAX);
    if (c->args_n != 3)
        err_set(err, ERR_UNSUPPORTED,
                "the running server has another version, without this command: restart it");
    else if (collect_image_facts(&w, c->args[1], err) == 0)
        rc = print_facts(&w, c->args[2], err);
    arena_reset(&w.arena);
    json_free(w.document);
    json_free(w.facts);
    free(w.parts);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the answer");
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

/* ---- the caller's side ---- */

enum command_exit
command_show(struct options *o, struct err *err)
{
    const char *args[] = {"show", o->words.n == 1 ? o->words.v[0] : "",
                          o->json ? "json" : stat_screen_style(), NULL};
    struct image_name name;

    options_forget_users(o); /* of a configuration file */
    if (o->words.n != 1) {
        err_set(err, ERR_BAD_REQUEST, USAGE);
        return COMMAND_USAGE;
    }
    if (image_name_parse(&name, args[1], err) != 0)
        return COMMAND_USAGE;
    if (name.repository[0] == '\0') {
        err_set(err, ERR_BAD_NAME,
                "%.200s is not NAME:TAG or NAME@DIGEST (explain takes a digest "
                "alone)",
                args[1]);
        return COMMAND_USAGE;
    }
    return control_run(o, command_show_work, args, err);
}
