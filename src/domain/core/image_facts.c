#include "domain/core/image_facts.h"
#include "domain/core/config.h"
#include "domain/core/manifest.h"
#include "domain/core/pull.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_manifest.h"
#include "util/arena.h"
#include "util/json.h"

/* Bytes of memory for the documents of one manifest. */
#define FACTS_MEMORY (24u << 20)

const struct image_facts_bound image_facts_page = {.documents = 4000, .bytes = 16u << 20};

struct facts_reading {
    const struct registry *reg;
    uint64_t repo;
    struct image_facts_bound *left;
    struct arena *arena;
    struct image_facts *out;
};

/* False: no further document may be read. */
static bool
take_of_bound(struct image_facts_bound *left, uint64_t bytes)
{
    if (left->documents == 0 || bytes > left->bytes) {
        left->documents = 0;
        return false;
    }
    left->documents--;
    left->bytes -= (size_t)bytes;
    return true;
}

/* 1; 0: the bound is reached, or there is no such document; -1. */
static int
read_facts_document(struct facts_reading *f, const struct digest *d, uint64_t size,
                    struct json **doc, struct err *err)
{
    struct bytes document;
    struct err ignored;
    int rc;

    if (!take_of_bound(f->left, size))
        return 0;
    rc = pull_document(f->reg, d, size, f->arena, &document, err);
    if (rc != 1)
        return rc;
    return json_parse(document, MANIFEST_DEPTH_MAX, doc, &ignored) == 0;
}

static uint64_t
add_image_sizes(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t
size_of_descriptor(const struct json *descriptor)
{
    uint64_t size;

    return json_u64(json_member(descriptor, "size"), &size) ? size : 0;
}

static uint64_t
size_of_parts(const struct json *doc)
{
    const struct json *layers = json_member(doc, "layers");
    uint64_t sum = size_of_descriptor(json_member(doc, "config"));

    for (size_t i = 0; i < json_length(layers); i++)
        sum = add_image_sizes(sum, size_of_descriptor(json_item(layers, i)));
    return sum;
}

static struct image_facts_platform *
add_platform(struct facts_reading *f, const struct json *is, const struct digest *d)
{
    struct image_facts_platform *p = &f->out->platforms[f->out->platforms_n];

    if (f->out->platforms_n == IMAGE_FACTS_PLATFORMS)
        return NULL;
    *p = (struct image_facts_platform){.digest = *d};
    platform_read(&p->platform, is);
    /* Attestations of builds are listed as images of an unknown platform. */
    if (p->platform.os[0] == '\0' || strcmp(p->platform.os, "unknown") == 0)
        return NULL;
    f->out->platforms_n++;
    return p;
}

/* ---- an image, or an artifact ---- */

static bool
is_config_of_image(const char *type)
{
    return strcmp(type, "application/vnd.oci.image.config.v1+json") == 0 ||
           strcmp(type, "application/vnd.docker.container.image.v1+json") == 0;
}

static int
read_image_facts(struct facts_reading *f, const struct digest *d, const struct json *doc,
                 struct err *err)
{
    const struct json *descriptor = json_member(doc, "config");
    const char *text = json_string(json_member(descriptor, "digest"));
    const char *type = json_string(json_member(descriptor, "mediaType"));
    struct image_facts_platform *p;
    struct bytes bytes;
    struct digest config;
    struct json *is;
    struct err ignored;
    int rc;

    f->out->size = size_of_parts(doc);
    f->out->known = true;
    if (type == NULL || text == NULL || !is_config_of_image(type) ||
        digest_parse(&config, text, strlen(text), &ignored) != 0)
        return 0;
    if (!take_of_bound(f->left, size_of_descriptor(descriptor))) {
        f->out->known = false;
        return 0;
    }
    rc = config_read(f->reg, &config, f->arena, &bytes, &is, err);
    if (rc != 1)
        return rc;
    p = add_platform(f, is, d);
    if (p != NULL) {
        p->here = true;
        p->size = f->out->size;
    }
    json_free(is);
    return 0;
}

/* ---- an index ---- */

static int
read_entry_facts(struct facts_reading *f, const struct json *entry, struct err *err)
{
    const char *text = json_string(json_member(entry, "digest"));
    struct image_facts_platform *p;
    struct rec_manifest r;
    struct json *doc;
    struct digest d;
    struct err ignored;
    uint64_t size;
    int rc;

    if (text == NULL || digest_parse(&d, text, strlen(text), &ignored) != 0)
        return 0;
    p = add_platform(f, json_member(entry, "platform"), &d);
    rc = tbl_manifest_get(kv_reads(f->reg->kv), f->repo, &d, &r, err);
    if (rc == 1)
        rc = read_facts_document(f, &d, r.size, &doc, err);
    if (rc != 1)
        return rc;
    size = size_of_parts(doc);
    json_free(doc);
    f->out->size = add_image_sizes(f->out->size, size);
    if (p != NULL) {
        p->here = true;
        p->size = size;
    }
    return 0;
}

static int
read_index_facts(struct facts_reading *f, const struct json *entries, struct err *err)
{
    for (size_t i = 0; i < json_length(entries) && f->left->documents > 0; i++)
        if (read_entry_facts(f, json_item(entries, i), err) != 0)
            return -1;
    f->out->known = f->left->documents > 0;
    return 0;
}

int
image_facts_read(const struct registry *reg, uint64_t repo, const struct digest *d,
                 struct image_facts_bound *left, struct image_facts *out, struct err *err)
{
    struct arena arena;
    struct facts_reading f = {.reg = reg, .repo = repo, .left = left, .arena = &arena, .out = out};
    struct json *doc;
    int rc;

    out->known = false;
    out->size = 0;
    out->platforms_n = 0;
    rc = tbl_manifest_get(kv_reads(reg->kv), repo, d, &out->record, err);
    out->has_record = rc == 1;
    if (rc != 1)
        return rc;
    arena_init(&arena, FACTS_MEMORY);
    rc = read_facts_document(&f, d, out->record.size, &doc, err);
    if (rc == 1) {
        rc = json_has(doc, "manifests") ? read_index_facts(&f, json_member(doc, "manifests"), err)
                                        : read_image_facts(&f, d, doc, err);
        json_free(doc);
    }
    arena_reset(&arena);
    return rc;
}
