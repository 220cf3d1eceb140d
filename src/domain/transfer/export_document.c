#include "domain/transfer/export_document.h"
#include "domain/core/manifest.h"
#include "domain/core/platform.h"
#include "util/json.h"

#define SCRATCH_MAX ((size_t)64 << 20)

void
export_document_full_name(struct buf *out, const char *repository)
{
    size_t first = strcspn(repository, "/");
    bool host = repository[first] == '/' &&
                (memchr(repository, '.', first) != NULL ||
                 (first == strlen("localhost") && strncmp(repository, "localhost", first) == 0));
    if (!host)
        buf_puts(out, repository[first] == '/' ? "docker.io/" : "docker.io/library/");
    buf_puts(out, repository);
}

/* ---- index.json ---- */

static struct json *
annotations(const struct export_plan *p, uint32_t repository, const char *tag)
{
    const char *name = p->repositories[repository].name;
    struct json *notes = json_new_object();
    struct buf full, here;
    buf_init(&full, 1024);
    buf_init(&here, 1024);
    export_document_full_name(&full, name);
    buf_puts(&here, name);
    if (tag != NULL) {
        buf_putf(&full, ":%s", tag);
        buf_putf(&here, ":%s", tag);
        json_set_string(notes, "io.containerd.image.name", buf_text(&full));
        json_set_string(notes, "org.opencontainers.image.ref.name",
                        p->repositories_n > 1 ? buf_text(&here) : tag);
    }
    json_set_string(notes, EXPORT_DOCUMENT_NAME, buf_text(&here));
    buf_free(&full);
    buf_free(&here);
    return notes;
}

static void
put_descriptor(const struct export_plan *p, const char *media_type, const struct digest *d,
               uint64_t size, uint32_t repository, const char *tag, struct buf *out)
{
    char text[DIGEST_TEXT_MAX];
    struct json *j = json_new_object();

    digest_text(text, d);
    json_set_string(j, "mediaType", media_type);
    json_set_string(j, "digest", text);
    json_set_u64(j, "size", size);
    json_set(j, "annotations", annotations(p, repository, tag));
    if (out->p[out->n - 1] != '[')
        buf_putc(out, ',');
    json_put(j, out);
}

void
export_document_index(const struct export_plan *p, struct buf *out)
{
    buf_puts(out, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\","
                  "\"manifests\":[");
    for (size_t i = 0; i < p->tags_n && buf_ok(out); i++) {
        const struct export_tag *t = &p->tags[i];
        put_descriptor(p, t->media_type, &t->digest, t->size, t->repository, t->tag, out);
    }
    for (size_t i = 0; i < p->n && buf_ok(out); i++) {
        const struct export_item *m = &p->items[i];
        if (m->repository != EXPORT_PLAN_BLOB && !m->named)
            put_descriptor(p, m->media_type, &m->digest, m->size, m->repository, NULL, out);
    }
    buf_puts(out, "]}");
}

/* ---- manifest.json ---- */

static void
set_path(struct json *object, struct json *array, const struct digest *d)
{
    char hex[DIGEST_TEXT_MAX];
    struct buf path;
    buf_init(&path, 256);
    digest_hex(hex, d);
    buf_putf(&path, "blobs/%s/%s", digest_algo_name(d->algo), hex);
    if (array != NULL)
        json_add_string(array, buf_text(&path));
    else
        json_set_string(object, "Config", buf_text(&path));
    buf_free(&path);
}

static bool
is_all_here(const struct export_plan *p, const struct manifest *m)
{
    for (size_t i = 0; i < m->descriptors_n; i++)
        if (!export_plan_has(p, &m->descriptors[i].digest))
            return false;
    return true;
}

static void
put_image(const struct export_plan *p, const struct export_tag *t, const struct manifest *m,
          struct buf *out)
{
    struct json *j = json_new_object(), *tags = json_new_array(), *layers = json_new_array();
    struct buf name;

    buf_init(&name, 1024);
    export_document_full_name(&name, p->repositories[t->repository].name);
    buf_putf(&name, ":%s", t->tag);
    json_add_string(tags, buf_text(&name));
    buf_free(&name);
    for (size_t i = 0; i < m->descriptors_n; i++)
        set_path(j, m->descriptors[i].part == PART_LAYER ? layers : NULL,
                 &m->descriptors[i].digest);
    json_set(j, "RepoTags", tags);
    json_set(j, "Layers", layers);
    buf_putc(out, out->n > 0 ? ',' : '[');
    json_put(j, out);
}

/* An index is listed as the image that clients without a platform get. */
static int
put_index_entry(const struct export_plan *p, const struct export_tag *t, struct arena *arena,
                struct buf *out, struct err *err)
{
    struct platform_image image;
    if (platform_find(p->reg, p->repositories[t->repository].id, &t->digest, NULL, arena, &image,
                      err) < 0)
        return err->code == ERR_NO_IMAGE || err->code == ERR_TOO_LARGE ? 0 : -1;
    if (is_all_here(p, &image.manifest))
        put_image(p, t, &image.manifest, out);
    return 0;
}

int
export_document_docker(const struct export_plan *p, struct buf *out, bool (*is_over)(void *arg),
                       void *arg, struct err *err)
{
    struct arena arena;
    int r = 0;
    arena_init(&arena, SCRATCH_MAX);
    for (size_t i = 0; r == 0 && i < p->tags_n && buf_ok(out); i++) {
        r = is_over(arg) ? err_set(err, ERR_BUSY, "the export was interrupted")
                         : put_index_entry(p, &p->tags[i], &arena, out, err);
        arena_reset(&arena);
    }
    if (out->n > 0)
        buf_putc(out, ']');
    return r;
}
