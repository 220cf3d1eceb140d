#include "domain/transfer/import_saved.h"
#include "domain/transfer/import_name.h"
#include "domain/transfer/import_original.h"
#include "domain/v1/image_push.h"
#include "util/arena.h"

/* Bytes of JSON; an image has some thousands. */
#define IMAGES_MAX ((size_t)512 << 20)

struct saved {
    struct import_store *s;
    const struct import_files *files;
    const char *fallback;
    struct import_listing listing;
    struct arena arena;     /* the images' JSON */
    struct import_set used; /* images that have a name, or are a parent */
    const char *repository; /* whose tags are visited */
};

/* ---- images ---- */

/* name: at the top of the archive; an image if it is an id, with a file json below it. */
static int
read_saved_image(const char *name, void *arg, struct err *err)
{
    struct saved *v = arg;
    struct import_listing_image image = {.size = UINT64_MAX};
    char path[DIGEST_TEXT_MAX + 8];
    struct buf json;
    int rc;

    if (digest_parse_v1_id(&image.id, name, strlen(name), err) != 0)
        return 0;
    snprintf(path, sizeof path, "%s/json", name);
    buf_init(&json, IMAGE_PUSH_JSON_MAX);
    rc = import_files_read(v->files, path, &json, err);
    if (rc == 1) {
        image.json = bytes_of(arena_copy(&v->arena, json.p, json.n), json.n);
        rc = image.json.p != NULL ? import_listing_add(&v->listing, &image, err) : arena_full(err);
    }
    buf_free(&json);
    return rc < 0 ? import_store_failed(v->s, err, "image %s", name) : rc;
}

static void
note_parents(struct saved *v)
{
    for (size_t i = 0; i < v->listing.n; i++)
        if (v->listing.v[i].parent.algo != DIGEST_NONE)
            import_set_add(&v->used, &v->listing.v[i].parent, NULL);
}

/* ---- names ---- */

static int
note_saved_tag(const char *tag, const struct json *value, void *arg)
{
    struct saved *v = arg;
    const char *id = json_string(value), *other;
    char text[sizeof(struct import_name) + 2];
    struct import_name n;
    struct digest d;
    struct err ignored;

    snprintf(text, sizeof text, "%s:%s", v->repository, tag);
    if (strlen(v->repository) + 1 + strlen(tag) >= sizeof text ||
        !import_name_parse(&n, text, v->fallback))
        return import_store_leave_out(
            v->s, "%.200s:%.100s is left out: a repository or tag can't have this name here",
            v->repository, tag);
    snprintf(text, sizeof text, "%s:%s", n.repository, n.tag);
    if (id != NULL && digest_parse_v1_id(&d, id, strlen(id), &ignored) == 0)
        import_set_add(&v->used, &d, NULL);
    other = json_string(json_member(v->listing.tags, text));
    if (id != NULL && other != NULL && strcmp(id, other) != 0)
        return import_store_leave_out(
            v->s, "%s is left out: another image of the source has this name, too", text);
    json_set(v->listing.tags, text, json_copy(value));
    return 0;
}

static int
note_saved_repository(const char *name, const struct json *value, void *arg)
{
    struct saved *v = arg;

    v->repository = name;
    return json_each(value, note_saved_tag, v);
}

/* The file repositories: 1, 0, -1. */
static int
read_names_of_images(struct saved *v, struct err *err)
{
    struct json *names;
    int rc = import_files_json(v->files, "repositories", &names, err);

    if (rc == 1) {
        json_each(names, note_saved_repository, v);
        json_free(names);
    }
    return rc;
}

/* The only image of the archive may be without a name. */
static void
name_the_rest(struct saved *v, bool named)
{
    const struct import_listing *l = &v->listing;
    char text[DIGEST_TEXT_MAX], tag[RECORD_REPOSITORY_MAX + 8];
    size_t rest = 0;

    for (size_t i = 0; i < l->n; i++)
        rest += !import_set_has(&v->used, &l->v[i].id);
    snprintf(tag, sizeof tag, "%s:latest", v->fallback);
    for (size_t i = 0; i < l->n; i++) {
        if (import_set_has(&v->used, &l->v[i].id))
            continue;
        digest_text(text, &l->v[i].id);
        if (!named && rest == 1)
            json_set_string(l->tags, tag, text);
        else
            import_store_leave_out(v->s, "image %s is left out: it has no name", text);
    }
}

int
import_saved_run(struct import_store *s, const struct import_files *files, const char *name,
                 struct err *err)
{
    struct saved v = {.s = s, .files = files, .fallback = name, .listing = {.saved = true}};
    int rc, named = 0;

    arena_init(&v.arena, IMAGES_MAX);
    v.listing.tags = json_new_object();
    rc = import_files_each(files, "", read_saved_image, &v, err);
    if (rc >= 0)
        rc = named = read_names_of_images(&v, err);
    if (rc >= 0 && (named == 1 || v.listing.n > 0)) {
        import_listing_sort(&v.listing);
        note_parents(&v);
        name_the_rest(&v, named == 1);
        rc = import_original_run(s, files, &v.listing, err) == 0 ? 1 : -1;
    }
    import_set_free(&v.used);
    import_listing_free(&v.listing);
    arena_reset(&v.arena);
    return rc;
}
