#include "domain/v1/conversion.h"
#include "domain/core/config.h"
#include "domain/v1/image_config.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/json.h"
#include "util/mem.h"

#define DEPTH_MAX 64

/* The date of an image if no image of its chain has one. */
#define NO_DATE "1970-01-01T00:00:00Z"

#define CONFIG_TYPE "application/vnd.docker.container.image.v1+json"
#define LAYER_TYPE "application/vnd.docker.image.rootfs.diff.tar"

struct image {
    struct conversion_layer layer;
    char created[IMAGE_CONFIG_DATE_MAX]; /* "": it doesn't say */
    struct json *history;                /* its entry of the history, still without the date */
};

struct conversion_draft {
    struct image images[CONVERSION_LAYERS_MAX]; /* base first */
    size_t n;
    size_t text;      /* bytes of the history */
    struct json *top; /* of the last image */
    struct image_config config;
};

struct conversion_draft *
conversion_begin(void)
{
    return mem_alloc(sizeof(struct conversion_draft));
}

void
conversion_free(struct conversion_draft *d)
{
    if (d == NULL)
        return;
    for (size_t i = 0; i < d->n; i++)
        json_free(d->images[i].history);
    json_free(d->top);
    image_config_free(&d->config);
    free(d);
}

/* ---- one image ---- */

/* The command that made the image, as docker's history shows it: the words with blanks between
 * them. */
static void
set_command(struct json *history, const struct json *v1, size_t *text)
{
    const struct json *words = json_member(json_member(v1, "container_config"), "Cmd");
    const char *one = json_string(words);
    struct buf all;

    buf_init(&all, CONVERSION_CONFIG_MAX);
    buf_puts(&all, one != NULL ? one : "");
    for (size_t i = 0; i < json_length(words); i++) {
        const char *word = json_string(json_item(words, i));

        if (word == NULL) {
            buf_reset(&all);
            break;
        }
        buf_puts(&all, i > 0 ? " " : "");
        buf_puts(&all, word);
    }
    *text += buf_ok(&all) ? all.n : CONVERSION_CONFIG_MAX;
    if (buf_ok(&all) && all.n > 0)
        json_set_string(history, "created_by", buf_text(&all));
    buf_free(&all);
}

static void
set_history_text(struct json *history, const struct json *v1, const char *name, size_t *text)
{
    const char *value = json_string(json_member(v1, name));

    if (value == NULL || value[0] == '\0')
        return;
    *text += strlen(value);
    json_set_string(history, name, value);
}

/* The members in the byte order of their names, as in all documents that are made here. */
static struct json *
make_history(const struct json *v1, size_t *text)
{
    struct json *history = json_new_object();

    set_history_text(history, v1, "author", text);
    set_history_text(history, v1, "comment", text);
    json_set_string(history, "created", NO_DATE);
    set_command(history, v1, text);
    return history;
}

int
conversion_add(struct conversion_draft *d, const struct conversion_layer *layer, struct bytes json,
               struct err *err)
{
    struct image *image = &d->images[d->n];
    char why[ERR_MESSAGE_MAX];

    if (d->n == CONVERSION_LAYERS_MAX)
        return err_set(err, ERR_BAD_IMAGE, "it has more than %d layers", CONVERSION_LAYERS_MAX);
    json_free(d->top);
    if (json_parse(json, DEPTH_MAX, &d->top, err) != 0) {
        snprintf(why, sizeof why, "%s", err->message);
        return err_set(err, ERR_BAD_IMAGE, "its JSON can't be read: %s", why);
    }
    image->layer = *layer;
    image_config_created(d->top, image->created);
    image->history = make_history(d->top, &d->text);
    d->n++;
    if (d->text > CONVERSION_CONFIG_MAX)
        return err_set(err, ERR_BAD_IMAGE, "its history has more than %u bytes",
                       CONVERSION_CONFIG_MAX);
    return 0;
}

/* ---- the config ---- */

/* An image without a date gets that of the image below it. Images at the base get that of the first
 * image above them that has one. So dates never go backwards because one is missing. */
static void
date(struct conversion_draft *d)
{
    const char *last = NO_DATE;

    for (size_t i = d->n; i > 0; i--)
        if (d->images[i - 1].created[0] != '\0')
            last = d->images[i - 1].created;
    for (size_t i = 0; i < d->n; i++) {
        struct image *image = &d->images[i];

        if (image->created[0] == '\0')
            snprintf(image->created, sizeof image->created, "%s", last);
        last = image->created;
        json_set_string(image->history, "created", image->created);
    }
}

/* Two images that differ only in their ids have different configs because of this member, so a
 * manifest belongs to one image. No client knows the member. */
static void
add_id(struct conversion_draft *d)
{
    const struct json *id = json_member(d->top, "id");

    if (json_string(id) != NULL)
        image_config_add(&d->config, "v1_id", json_copy(id));
}

static struct json *
make_rootfs(const struct conversion_draft *d)
{
    struct json *rootfs = json_new_object(), *diff_ids = json_new_array();
    char text[DIGEST_TEXT_MAX];

    for (size_t i = 0; i < d->n; i++) {
        digest_text(text, &d->images[i].layer.diff_id);
        json_add_string(diff_ids, text);
    }
    json_set(rootfs, "diff_ids", diff_ids);
    json_set_string(rootfs, "type", "layers");
    return rootfs;
}

/* Moves the config's members into a document. */
static struct json *
make_config(struct conversion_draft *d)
{
    struct json *doc = json_new_object(), *history = json_new_array();

    for (size_t i = 0; i < d->n; i++) {
        json_add(history, d->images[i].history);
        d->images[i].history = NULL;
    }
    image_config_add(&d->config, "created", NULL);
    image_config_add(&d->config, "history", history);
    image_config_add(&d->config, "rootfs", make_rootfs(d));
    add_id(d);
    for (size_t i = 0; i < d->config.n; i++)
        json_set(doc, d->config.members[i].name, d->config.members[i].json);
    d->config.n = 0;
    json_set_string(doc, "created", d->images[d->n - 1].created);
    return doc;
}

/* ---- the manifest ---- */

/* The type is always that of gzip. Clients detect the compression by a layer's first bytes, and
 * some of them, or all, don't know the types of other formats. */
static const char *
layer_type(enum inflate_format format)
{
    return format == INFLATE_PLAIN ? LAYER_TYPE : LAYER_TYPE ".gzip";
}

static struct json *
make_descriptor(const char *media_type, uint64_t size, const struct digest *digest)
{
    struct json *descriptor = json_new_object();
    char text[DIGEST_TEXT_MAX];

    digest_text(text, digest);
    json_set_string(descriptor, "mediaType", media_type);
    json_set_u64(descriptor, "size", size);
    json_set_string(descriptor, "digest", text);
    return descriptor;
}

static struct json *
make_converted_manifest(const struct conversion_draft *d, const struct conversion *c)
{
    struct json *doc = json_new_object(), *layers = json_new_array();

    for (size_t i = 0; i < d->n; i++) {
        const struct conversion_layer *layer = &d->images[i].layer;

        json_add(layers, make_descriptor(layer_type(layer->format), layer->size, &layer->blob));
    }
    json_set_u64(doc, "schemaVersion", 2);
    json_set_string(doc, "mediaType", CONVERSION_MEDIA_TYPE);
    json_set(doc, "config", make_descriptor(CONFIG_TYPE, c->config.n, &c->config_digest));
    json_set(doc, "layers", layers);
    return doc;
}

/* Writes the document to a buffer, and frees it. */
static int
finish_document(struct json *doc, struct arena *arena, struct bytes *out, struct digest *digest,
                struct err *err)
{
    size_t n;
    const char *text = json_text(doc, &n);

    *out = bytes_of(arena_copy(arena, text, n), n);
    json_free(doc);
    if (out->p == NULL)
        return arena_full(err);
    digest_of(digest, DIGEST_SHA256, *out);
    if (digest->algo == DIGEST_NONE)
        return err_set(err, ERR_SYSTEM, "the digest of an image's config failed");
    return 0;
}

int
conversion_finish(struct conversion_draft *d, struct arena *arena, struct conversion *out,
                  struct err *err)
{
    struct json *parsed;

    if (image_config_read(d->top, &d->config, err) != 0)
        return -1;
    date(d);
    if (finish_document(make_config(d), arena, &out->config, &out->config_digest, err) != 0)
        return -1;
    if (out->config.n > CONVERSION_CONFIG_MAX)
        return err_set(err, ERR_BAD_IMAGE, "its config has more than %u bytes",
                       CONVERSION_CONFIG_MAX);
    if (json_parse_within(out->config, DEPTH_MAX, CONFIG_VALUES_MAX, &parsed, err) != 0)
        return err_set(err, ERR_BAD_IMAGE, "its config has more than %d values", CONFIG_VALUES_MAX);
    json_free(parsed);
    return finish_document(make_converted_manifest(d, out), arena, &out->manifest,
                           &out->manifest_digest, err);
}
