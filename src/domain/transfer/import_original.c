#include "domain/transfer/import_original.h"
#include "domain/v1/image.h"
#include "domain/v1/image_push.h"
#include "domain/v1/image_tag.h"
#include "domain/transfer/import_blob.h"
#include "domain/name.h"
#include "domain/core/upload.h"
#include "storage/files/blob_file.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_image.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "util/arena.h"
#include "util/fdio.h"

#define ARENA_MAX ((size_t)16 << 20)

/* The original doesn't send the bytes of an image's JSON, but what JavaScript writes after parsing
 * them: docker's escapes of <, > and & are lost, and so is the newline at the end. The checksum
 * covers the pushed bytes, so it tells which of these variants they were. */
#define VARIANTS 4
#define ESCAPED 1
#define NEWLINE 2

struct original {
    struct import_store *s;
    const struct import_files *files;
    const struct import_listing *listing;
};

/* An image on its way in. */
struct taking {
    const struct import_listing_image *image;
    char text[DIGEST_TEXT_MAX];
    struct buf json[VARIANTS];
    struct digest payload[VARIANTS];
    struct digest layer;
    unsigned variant; /* the pushed variant; VARIANTS: unknown */
};

/* ---- the JSON as it was pushed ---- */

/* As Go writes them: these, and the separators U+2028 and U+2029. */
static void
escape(struct buf *out, struct bytes json)
{
    const unsigned char *p = json.p;

    for (size_t i = 0; i < json.n; i++) {
        if (p[i] == '<' || p[i] == '>' || p[i] == '&') {
            buf_putf(out, "\\u%04x", p[i]);
        } else if (json.n - i > 2 && p[i] == 0xe2 && p[i + 1] == 0x80 && (p[i + 2] | 1) == 0xa9) {
            buf_putf(out, "\\u20%02x", p[i + 2] - 0x80);
            i += 2;
        } else {
            buf_putc(out, (char)p[i]);
        }
    }
}

static void
make_variants(struct taking *t)
{
    for (unsigned i = 0; i < VARIANTS; i++) {
        buf_init(&t->json[i], 2 * (size_t)IMAGE_PUSH_JSON_MAX);
        if ((i & ESCAPED) != 0)
            escape(&t->json[i], t->image->json);
        else
            buf_put(&t->json[i], t->image->json.p, t->image->json.n);
        if ((i & NEWLINE) != 0)
            buf_putc(&t->json[i], '\n');
    }
}

/* Copies the layer, and hashes it after each variant of the JSON. */
static int
read_original_layer(const struct original *o, struct taking *t, const struct import_file *file,
                    int to, struct err *err)
{
    struct digest_state *hashes[VARIANTS + 1];
    int rc = 0;

    for (unsigned i = 0; i <= VARIANTS; i++) {
        hashes[i] = digest_begin(DIGEST_SHA256);
        if (hashes[i] == NULL)
            rc = err_set(err, ERR_SYSTEM, "cannot begin a digest");
        if (hashes[i] == NULL || i == VARIANTS)
            continue;
        digest_update(hashes[i], t->json[i].p, t->json[i].n);
        digest_update(hashes[i], "\n", 1);
    }
    if (rc == 0)
        rc = import_blob_read(o->s, file, hashes, VARIANTS + 1, to, err);
    for (unsigned i = 0; i <= VARIANTS; i++)
        if (hashes[i] != NULL)
            digest_end(hashes[i], i < VARIANTS ? &t->payload[i] : &t->layer);
    for (t->variant = 0; t->variant < VARIANTS; t->variant++)
        if (digest_equal(&t->payload[t->variant], &t->image->checksum))
            break;
    return rc;
}

/* ---- one image ---- */

static int
leave_out(const struct original *o, const struct taking *t, const char *why)
{
    return import_store_leave_out(o->s, "image %s is left out: %s", t->text, why);
}

/* Its layer is in the open file fd. */
static int
push_original_image(const struct original *o, const struct taking *t, int fd, struct err *err)
{
    const struct registry *reg = o->s->reg;
    const struct actor *actor = &o->s->actor;
    const struct import_listing_image *image = t->image;
    bool sure = t->variant < VARIANTS;
    char checksum[DIGEST_TEXT_MAX];
    struct rec_blob there;
    struct arena arena;
    int rc = tbl_blob_get(kv_reads(reg->kv), &t->layer, &there, err);

    if (rc < 0)
        return -1;
    o->s->counts->copied += rc == 0;
    arena_init(&arena, ARENA_MAX);
    digest_text(checksum, &image->checksum);
    rc = image_push_json(reg, &image->id, buf_bytes(&t->json[sure ? t->variant : 0]), actor, err);
    if (rc == 0)
        rc = image_push_layer_file(reg, &image->id, fd, actor, &arena, err);
    if (rc == 0 && sure)
        rc = image_push_verify(reg, &image->id, "", checksum, actor, &arena, err);
    arena_reset(&arena);
    if (rc != 0)
        return import_store_failed(o->s, err, "image %s", t->text);
    return import_store_count_blob(o->s, &t->layer);
}

static int
copy_original_layer(const struct original *o, struct taking *t, const struct import_file *file,
                    struct err *err)
{
    int fd, rc;

    if (upload_room(o->s->reg, file->size, err) != 0)
        return -1;
    fd = blob_file_create(o->s->reg->blobs, err);
    if (fd < 0)
        return -1;
    make_variants(t);
    rc = read_original_layer(o, t, file, fd, err);
    if (rc != 0)
        rc = import_store_failed(o->s, err, "image %s", t->text);
    else if (t->variant == VARIANTS && t->image->checksum.algo != DIGEST_NONE)
        rc = leave_out(o, t, "JSON and layer don't match its checksum: one of them is damaged");
    else
        rc = push_original_image(o, t, fd, err);
    for (unsigned i = 0; i < VARIANTS; i++)
        buf_free(&t->json[i]);
    fdio_close(fd);
    return rc;
}

static int
check_layer_size(const struct original *o, const struct taking *t, const struct import_file *file)
{
    char why[128];
    uint64_t max = o->s->reg->max_blob_size;

    snprintf(why, sizeof why, "its layer has %llu bytes, and should have %llu",
             (unsigned long long)file->size, (unsigned long long)t->image->size);
    if (t->image->size != UINT64_MAX && file->size != t->image->size)
        return leave_out(o, t, why);
    if (t->image->json.n > IMAGE_PUSH_JSON_MAX)
        return leave_out(o, t, "its JSON is too long");
    return max != 0 && file->size > max ? leave_out(o, t, "its layer is too large here") : 1;
}

/* Its parents are here. */
static int
import_original_image(const struct original *o, const struct digest *id, struct err *err)
{
    struct taking t = {.image = import_listing_find(o->listing, id)};
    bool saved = o->listing->saved;
    char path[DIGEST_TEXT_MAX + 32];
    struct import_file file;
    struct rec_image r;
    int rc = tbl_image_get(kv_reads(o->s->reg->kv), id, &r, err);

    digest_text(t.text, id);
    if (rc < 0)
        return -1;
    if (rc == 1 && image_is_whole(&r))
        return import_store_count_blob(o->s, &r.layer);
    if (t.image == NULL)
        return leave_out(o, &t, saved ? "it isn't there" : "it isn't in the listing");
    snprintf(path, sizeof path, "%s%s%s", saved ? "" : "layers/", t.text,
             saved ? "/layer.tar" : "");
    rc = import_files_open(o->files, path, &file, err);
    if (rc < 0)
        return import_store_failed(o->s, err, "image %s", t.text);
    if (rc == 0)
        return leave_out(o, &t, "its layer isn't there");
    rc = check_layer_size(o, &t, &file);
    if (rc == 1)
        rc = copy_original_layer(o, &t, &file, err);
    import_files_shut(&file);
    return rc;
}

/* The image and all that it is made of, base first. */
static int
take_chain(const struct original *o, const struct digest *id, struct err *err)
{
    struct digest chain[IMAGE_CHAIN_MAX];
    size_t n = 0;
    int rc = 1;

    for (struct digest at = *id; at.algo != DIGEST_NONE;) {
        const struct import_listing_image *image = import_listing_find(o->listing, &at);

        if (n == IMAGE_CHAIN_MAX)
            return import_store_leave_out(o->s, "an image with more than %d parents is left out",
                                          IMAGE_CHAIN_MAX - 1);
        chain[n++] = at;
        at = image != NULL ? image->parent : (struct digest){.algo = DIGEST_NONE};
    }
    while (n > 0 && rc == 1) {
        if (import_store_go_on(o->s, err) != 0)
            return -1;
        rc = import_set_has(&o->s->bad, &chain[n - 1])
                 ? 0
                 : import_original_image(o, &chain[n - 1], err);
        if (rc == 0)
            import_set_add(&o->s->bad, &chain[n - 1], NULL);
        n--;
    }
    return rc;
}

/* ---- tags ---- */

/* Does the tag name the image already, or the manifest made of it? 1, 0, -1. */
static int
original_is_tagged(const struct import_store *s, const char *tag, const struct digest *id,
                   struct err *err)
{
    struct rec_manifest made;
    struct rec_tag r;
    int rc = tbl_tag_get(kv_reads(s->reg->kv), s->repo.id, tag, &r, err);

    if (rc != 1 || digest_equal(&r.target, id))
        return rc;
    rc = tbl_manifest_get(kv_reads(s->reg->kv), s->repo.id, &r.target, &made, err);
    return rc == 1 ? digest_equal(&made.made_from, id) : rc;
}

static int
put_original_tag(const struct original *o, const char *tag, const struct digest *id,
                 struct err *err)
{
    struct import_store *s = o->s;
    struct arena arena;
    int rc = import_store_ensure(s, err);

    if (rc != 1)
        return rc;
    if ((rc = original_is_tagged(s, tag, id, err)) != 0)
        return rc < 0 ? -1 : import_store_count_tag(s);
    arena_init(&arena, ARENA_MAX);
    rc = image_tag_put(s->reg, s->name, tag, id, NULL, &s->actor, &arena, err);
    arena_reset(&arena);
    return rc == 0 ? import_store_count_tag(s)
                   : import_store_failed(s, err, "tag %s:%s", s->name, tag);
}

/* "library/app:latest", or as the original shortens it: "app"; and its id. */
static int
import_original_tag(const struct original *o, const char *name, const char *id, struct err *err)
{
    char repository[RECORD_REPOSITORY_MAX + 1], tag[RECORD_TAG_MAX + 1];
    struct digest d;
    int rc;

    name = name_short(name); /* as docker calls it */
    if (!name_split(name, strlen(name), repository, tag))
        return import_store_leave_out(
            o->s, "%.300s is left out: a repository or tag can't have this name here", name);
    if (tag[0] == '\0')
        snprintf(tag, sizeof tag, "latest");
    rc = import_store_enter(o->s, repository, err);
    if (rc != 1)
        return rc;
    if (id == NULL || digest_parse_v1_id(&d, id, strlen(id), err) != 0)
        return import_store_leave_out(o->s, "tag %.300s is left out: it names no image", name);
    rc = take_chain(o, &d, err);
    if (rc == 0)
        return import_store_leave_out(o->s, "tag %s:%s is left out with its image", o->s->name,
                                      tag);
    return rc == 1 ? put_original_tag(o, tag, &d, err) : -1;
}

struct visit {
    const struct original *o;
    struct err *err;
};

static int
import_member_tag(const char *name, const struct json *value, void *arg)
{
    const struct visit *v = arg;

    v->o->s->counts->at++;
    return import_original_tag(v->o, name, json_string(value), v->err) < 0 ? -1 : 0;
}

static int
count_original_tag(const char *name, const struct json *value, void *arg)
{
    (void)name;
    (void)value;
    ++*(size_t *)arg;
    return 0;
}

int
import_original_run(struct import_store *s, const struct import_files *files,
                    const struct import_listing *listing, struct err *err)
{
    const struct original o = {.s = s, .files = files, .listing = listing};
    struct visit v = {.o = &o, .err = err};

    s->counts->of = "tags";
    json_each(listing->tags, count_original_tag, &s->counts->all);
    return json_each(listing->tags, import_member_tag, &v);
}
