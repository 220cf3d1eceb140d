#include "domain/v1/image_view.h"
#include "domain/core/chain_id.h"
#include "domain/core/config.h"
#include "domain/v1/image_ids.h"
#include "domain/core/pull.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "util/arena.h"
#include "util/json.h"

/* Memory for looking at a manifest whose id is wanted, in bytes. */
#define ID_MEMORY (32u << 20)

static const char EMPTY[1024]; /* a tar of nothing */

static int
no_such_view(struct err *err, const struct digest *d, const char *why)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, d);
    return err_set(err, ERR_NO_IMAGE, "%s %s", text, why);
}

/* A manifest lists its layers from the lowest up, as chain ids do. The view lists them from the top
 * down. */
static int
fill_view(struct image_view *v, const struct platform_image *image, const struct digest *chain,
          size_t layers, struct arena *arena, struct err *err)
{
    const struct manifest *m = &image->manifest;
    size_t at = layers;

    v->n = layers > 0 ? layers : 1;
    v->layers_n = layers;
    v->layer = v->n - 1;
    v->topmost = true;
    v->ids = arena_array(arena, v->n, sizeof *v->ids);
    v->layers = arena_array(arena, v->n, sizeof *v->layers);
    if (v->ids == NULL || v->layers == NULL)
        return arena_full(err);
    for (size_t i = 0; i < m->descriptors_n && at > 0; i++)
        if (m->descriptors[i].part == PART_LAYER)
            v->layers[--at] = m->descriptors[i].digest;
    if (!image_ids_from(&m->config, &v->ids[0]))
        return no_such_view(err, &image->digest, "has a config whose digest is too long for an id");
    for (size_t i = 1; i < v->n; i++)
        image_ids_from(&chain[layers - 1 - i], &v->ids[i]);
    if (layers > 0)
        image_ids_from(&chain[layers - 1], &v->on_top);
    return 1;
}

int
image_view_of(const struct registry *reg, uint64_t repo, const struct digest *manifest,
              const struct platform *platform, struct arena *arena, struct image_view *v,
              struct err *err)
{
    struct platform_image image;
    struct digest *chain = NULL;
    size_t layers;
    int rc = platform_find(reg, repo, manifest, platform, arena, &image, err);

    *v = (struct image_view){.repo = repo};
    if (rc != 0)
        return err->code == ERR_NO_MANIFEST ? 0 : -1;
    v->manifest = image.digest;
    layers = image.manifest.descriptors_n - 1;
    rc = pull_blob(reg, &image.manifest.config, CHAIN_ID_CONFIG_MAX, arena, &v->config, err);
    if (rc == 1)
        rc = chain_id_parse(v->config, layers, arena, &chain, err);
    if (rc == 0)
        return no_such_view(err, &image.digest,
                            "has a config that doesn't tell what its layers are called");
    return rc < 0 ? -1 : fill_view(v, &image, chain, layers, arena, err);
}

/* ---- the id of a manifest ---- */

static int
read_id(const struct registry *reg, const struct digest *manifest, const struct rec_manifest *r,
        struct arena *arena, struct digest *id, struct err *err)
{
    struct bytes document;
    struct manifest m;
    int rc = pull_document(reg, manifest, r->size, arena, &document, err);

    if (rc != 1)
        return rc;
    if (manifest_parse(&m, document, r->media_type, arena, err) != 0)
        return err->code == ERR_SYSTEM ? -1 : 0; /* it is damaged */
    *id = *manifest_id(&m, manifest);
    return 1;
}

/* Finds the id by reading documents. platform: NULL for none. */
static int
look_for_id(const struct registry *reg, uint64_t repo, const struct digest *manifest,
            const struct rec_manifest *r, bool list, const struct platform *platform,
            size_t *memory, struct digest *id, struct err *err)
{
    struct platform_image image;
    struct arena arena;
    int rc = 1;

    if (*memory == 0) {
        *id = *manifest;
        return platform == NULL ? 1
                                : err_set(err, ERR_TOO_LARGE,
                                          "too much has to be read to list the images of a "
                                          "platform: ask for one of the tags");
    }
    arena_init(&arena, ID_MEMORY);
    if (!list && platform == NULL) {
        rc = read_id(reg, manifest, r, &arena, id, err);
    } else if (platform_find(reg, repo, manifest, platform, &arena, &image, err) == 0) {
        *id = *manifest_id(&image.manifest, &image.digest);
    } else if (err->code == ERR_NO_IMAGE || err->code == ERR_NO_MANIFEST ||
               (err->code == ERR_TOO_LARGE && platform == NULL)) {
        *id = *manifest;
        rc = platform == NULL;
    } else {
        rc = -1;
    }
    *memory -= arena.used < *memory ? arena.used : *memory;
    arena_reset(&arena);
    return rc;
}

/* Replaces the record of an index by that of the image that it leads to, if that is known. */
static int
follow_choice(const struct registry *reg, uint64_t repo, const struct digest *manifest,
              struct rec_manifest *r, bool *list, struct err *err)
{
    struct rec_manifest chosen;
    int rc;

    if (digest_equal(&r->chosen, manifest)) {
        *list = false;
        return 0;
    }
    rc = tbl_manifest_get(kv_reads(reg->kv), repo, &r->chosen, &chosen, err);
    if (rc < 0)
        return -1;
    if (rc == 1) {
        *r = chosen;
        *list = false;
    }
    return 0;
}

int
image_view_id(const struct registry *reg, uint64_t repo, const struct digest *manifest,
              const struct platform *platform, size_t *memory, struct digest *id, struct err *err)
{
    const struct media_type *type;
    struct rec_manifest r;
    bool list;
    int rc = tbl_manifest_get(kv_reads(reg->kv), repo, manifest, &r, err);

    if (rc != 1)
        return rc;
    type = media_type_find(r.media_type);
    list = type != NULL && type->kind == DOCUMENT_INDEX;
    if (list && platform == NULL && r.chosen.algo != DIGEST_NONE &&
        follow_choice(reg, repo, manifest, &r, &list, err) != 0)
        return -1;
    *id = r.made_from.algo != DIGEST_NONE ? r.made_from : r.id;
    if (list || (platform != NULL && r.made_from.algo == DIGEST_NONE) || id->algo == DIGEST_NONE)
        rc = look_for_id(reg, repo, manifest, &r, list, platform, memory, id, err);
    if (rc == 1)
        image_ids_from(id, id);
    return rc;
}

/* ---- JSON and layer ---- */

int
image_view_layer(const struct registry *reg, const struct image_view *v, uint64_t *size,
                 char path[BLOB_FILE_PATH_MAX], struct err *err)
{
    const struct digest *layer = &v->layers[0];
    struct edge member = {.to = *layer, .kind = EDGE_MEMBER, .repo = v->repo};
    struct rec_blob r;
    int rc;

    *size = sizeof EMPTY;
    path[0] = '\0';
    if (layer->algo == DIGEST_NONE)
        return 1;
    /* A layer that is foreign in this repository may be in the store for another one. */
    rc = tbl_edge_has(kv_reads(reg->kv), &member, err);
    if (rc == 1)
        rc = tbl_blob_get(kv_reads(reg->kv), layer, &r, err);
    if (rc == 1) {
        *size = r.size;
        blob_file_path(path, layer, r.instance);
    }
    return rc;
}

struct bytes
image_view_empty(void)
{
    return bytes_of(EMPTY, sizeof EMPTY);
}

/* ---- its JSON ---- */

struct member {
    const char *name;
    const struct json *value;
};

struct members {
    struct member *v; /* NULL: only count */
    size_t n;
};

/* All members except those that relate layers and images: the view puts those in itself. */
static int
collect_config_member(const char *name, const struct json *value, void *arg)
{
    static const char *const others[] = {"rootfs", "history",  "id",
                                         "parent", "layer_id", "throwaway"};
    struct members *m = arg;

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i]) == 0)
            return 0;
    if (m->v != NULL)
        m->v[m->n] = (struct member){name, value};
    m->n++;
    return 0;
}

static int
compare_member_names(const void *a, const void *b)
{
    return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static void
add_string(struct members *m, const char *name, const struct json *value)
{
    if (json_string(value) != NULL && json_string(value)[0] != '\0')
        m->v[m->n++] = (struct member){name, value};
}

/* The history's entry for a layer. NULL if the history doesn't fit these layers; entries that left
 * no layer are passed over. */
static const struct json *
history_of(const struct image_view *v, const struct json *history)
{
    const struct json *entry = NULL;
    size_t layers = 0;

    for (size_t i = 0; i < json_length(history); i++) {
        const struct json *h = json_item(history, i), *empty = json_member(h, "empty_layer");

        if (json_is_true(empty))
            continue;
        if (layers++ == v->layer)
            entry = h;
    }
    return layers == v->layers_n ? entry : NULL;
}

/* The members that docker's own view has for an ancestor, id and parent, and those that the history
 * adds. */
static struct json *
members_of_ancestor(const struct image_view *v, const struct json *config, struct members *m)
{
    const struct json *h = history_of(v, json_member(config, "history"));
    const struct json *by = json_member(h, "created_by");
    struct json *run = NULL, *command;

    add_string(m, "architecture", json_member(config, "architecture"));
    add_string(m, "os", json_member(config, "os"));
    add_string(m, "author", json_member(h, "author"));
    add_string(m, "comment", json_member(h, "comment"));
    add_string(m, "created", json_member(h, "created"));
    if (json_string(by) != NULL) {
        run = json_new_object();
        command = json_new_array();
        json_add_string(command, json_string(by));
        json_set(run, "Cmd", command);
        m->v[m->n++] = (struct member){"container_config", run};
    }
    return run;
}

/* An object of the members in the byte order of their names, as docker writes it. */
static struct json *
put_together(const struct image_view *v, struct members *m)
{
    struct json *out = json_new_object(), *id = json_new_object();
    char hex[DIGEST_TEXT_MAX];

    digest_hex(hex, &v->ids[0]);
    json_set_string(id, "id", hex);
    m->v[m->n++] = (struct member){"id", json_member(id, "id")};
    if (v->n > 1) {
        digest_hex(hex, &v->ids[1]);
        json_set_string(id, "parent", hex);
        m->v[m->n++] = (struct member){"parent", json_member(id, "parent")};
    }
    qsort(m->v, m->n, sizeof *m->v, compare_member_names);
    for (size_t i = 0; i < m->n; i++)
        json_set(out, m->v[i].name, json_copy(m->v[i].value));
    json_free(id);
    return out;
}

int
image_view_json(const struct image_view *v, struct arena *arena, struct bytes *json,
                struct err *err)
{
    struct json *config, *out, *run = NULL;
    struct members m = {.v = NULL};
    const char *text;
    size_t n;

    if (json_parse_within(v->config, CONFIG_DEPTH_MAX, CONFIG_VALUES_MAX, &config, err) != 0)
        return -1;
    json_each(config, collect_config_member, &m);
    m.v = arena_array(arena, m.n + 10, sizeof *m.v);
    m.n = 0;
    if (m.v == NULL) {
        json_free(config);
        return arena_full(err);
    }
    if (v->topmost)
        json_each(config, collect_config_member, &m);
    else
        run = members_of_ancestor(v, config, &m);
    out = put_together(v, &m);
    text = json_text(out, &n);
    *json = bytes_of(arena_copy(arena, text, n), n);
    json_free(out);
    json_free(run);
    json_free(config);
    return json->p != NULL ? 0 : arena_full(err);
}
