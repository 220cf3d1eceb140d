#include "domain/transfer/import_archive.h"
#include "domain/transfer/import_blob.h"
#include "domain/transfer/import_name.h"
#include "domain/transfer/import_manifest.h"
#include "domain/core/manifest.h"
#include "storage/layers/inflate.h"
#include "util/json.h"
#include "util/mem.h"

#define CONFIG_MAX ((size_t)4 << 20)

#define DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"

/* A part of the image at hand: which file it is. */
struct part {
    struct digest digest;
    const char *file;
};

struct archive {
    struct import_store *s;
    const struct import_files *files;
    const char *fallback;
    struct part *parts; /* the config, then the layers */
    size_t parts_n;
    struct buf document; /* its manifest */
    struct digest digest;
};

/* ---- what import_store asks for ---- */

static int
find_archive_document(void *arg, const struct digest *d, struct buf *out, struct err *err)
{
    const struct archive *a = arg;

    if (!digest_equal(d, &a->digest))
        return 0;
    buf_put(out, a->document.p, a->document.n);
    return buf_ok(out) ? 1 : err_set(err, ERR_TOO_LARGE, "it has too many layers");
}

static int
find_archive_blob(void *arg, const struct digest *d, struct import_file *file, struct err *err)
{
    const struct archive *a = arg;

    *file = (struct import_file){.fd = -1};
    for (size_t i = 0; i < a->parts_n; i++)
        if (digest_equal(&a->parts[i].digest, d))
            return import_files_open(a->files, a->parts[i].file, file, err);
    return 0;
}

/* ---- making the manifest ---- */

static void
add_descriptor(struct json *to, const char *type, uint64_t size, const struct digest *d)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, d);
    json_set_string(to, "mediaType", type);
    json_set_u64(to, "size", size);
    json_set_string(to, "digest", text);
}

/* The digest of a layer: the diff id, unless it is compressed. */
static int
identify(struct archive *a, const char *name, const char *diff_id, struct json *layers,
         struct part *part, struct err *err)
{
    const char *const type[INFLATE_FORMATS] = {
        [INFLATE_PLAIN] = DOCKER_LAYER,        [INFLATE_GZIP] = DOCKER_LAYER ".gzip",
        [INFLATE_ZSTD] = DOCKER_LAYER ".zstd", [INFLATE_XZ] = DOCKER_LAYER,
        [INFLATE_BZIP2] = DOCKER_LAYER,
    };
    enum inflate_format format = INFLATE_PLAIN;
    struct import_file file;
    struct digest_state *state;
    struct json *entry;
    char magic[6];
    int rc = import_files_open(a->files, name, &file, err);

    if (rc != 1)
        return rc < 0 ? -1
                      : err_set(err, ERR_NO_FILE,
                                "its layer %.150s isn't there, or leads out of the archive", name);
    *part = (struct part){.file = name};
    if (file.size >= sizeof magic &&
        (rc = import_files_bytes(&file, 0, magic, sizeof magic, err)) == 0)
        format = inflate_detect(magic, sizeof magic);
    if (rc >= 0 && format == INFLATE_PLAIN) {
        rc = digest_parse(&part->digest, diff_id, strlen(diff_id), err);
    } else if (rc >= 0 && (state = digest_begin(DIGEST_SHA256)) != NULL) {
        rc = import_blob_read(a->s, &file, &state, 1, -1, err);
        digest_end(state, &part->digest);
    } else if (rc >= 0) {
        rc = err_set(err, ERR_SYSTEM, "cannot begin a digest");
    }
    import_files_shut(&file);
    if (rc != 0)
        return -1;
    entry = json_new_object();
    add_descriptor(entry, type[format], file.size, &part->digest);
    json_add(layers, entry);
    return 0;
}

static int
identify_layers(struct archive *a, const struct json *names, const struct json *config,
                struct json *layers, struct err *err)
{
    const struct json *ids = json_member(json_member(config, "rootfs"), "diff_ids");
    size_t n = json_length(names);

    if ((json_type(names) != JSON_ARRAY && json_type(names) != JSON_NULL) || json_length(ids) != n)
        return err_set(err, ERR_BAD_IMAGE, "its config lists a different number of layers");
    if (n >= MANIFEST_DESCRIPTORS_MAX)
        return err_set(err, ERR_BAD_IMAGE, "it has too many layers");
    a->parts = mem_array(n + 1, sizeof *a->parts);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string(json_item(names, i)), *id = json_string(json_item(ids, i));

        if (name == NULL || id == NULL)
            return err_set(err, ERR_BAD_IMAGE, "a layer has no name, or no diff id");
        if (identify(a, name, id, layers, &a->parts[i + 1], err) != 0)
            return -1;
    }
    a->parts_n = n + 1;
    return 0;
}

/* The manifest into a->document. */
static int
make_archive_manifest(struct archive *a, const struct json *image, const char *name,
                      const struct buf *config, struct err *err)
{
    struct json *parsed, *doc = json_new_object(), *about = json_new_object();
    struct json *layers = json_new_array();
    struct digest d;
    const char *text;
    size_t n;
    int rc;

    digest_of(&d, DIGEST_SHA256, buf_bytes(config));
    json_set_u64(doc, "schemaVersion", 2);
    json_set_string(doc, "mediaType", DOCKER_MANIFEST);
    add_descriptor(about, DOCKER_CONFIG, config->n, &d);
    json_set(doc, "config", about);
    json_set(doc, "layers", layers);
    rc = json_parse(buf_bytes(config), MANIFEST_DEPTH_MAX, &parsed, err);
    if (rc == 0) {
        rc = identify_layers(a, json_member(image, "Layers"), parsed, layers, err);
        json_free(parsed);
    }
    if (rc == 0) {
        a->parts[0] = (struct part){.digest = d, .file = name};
        text = json_text(doc, &n);
        buf_put(&a->document, text, n);
        digest_of(&a->digest, DIGEST_SHA256, buf_bytes(&a->document));
        rc = buf_ok(&a->document) ? 0 : err_set(err, ERR_BAD_IMAGE, "it has too many layers");
    }
    json_free(doc);
    return rc;
}

/* ---- images ---- */

static int
take_name(struct archive *a, const char *name, struct err *err)
{
    struct import_name n;
    int rc;

    if (!import_name_parse(&n, name, a->fallback))
        return import_store_leave_out(
            a->s, "%.300s is left out: a repository or tag can't have this name here", name);
    rc = import_store_enter(a->s, n.repository, err);
    return rc == 1 ? import_manifest_name(a->s, n.tag, &a->digest, "", err) : rc;
}

/* Without a name it is no less an image. */
static int
take_names(struct archive *a, const struct json *names, bool only, struct err *err)
{
    size_t n = json_length(names);
    int rc = 0;

    for (size_t i = 0; i < n && rc >= 0; i++) {
        const char *name = json_string(json_item(names, i));

        if (name != NULL)
            rc = take_name(a, name, err);
    }
    if (n == 0 && only)
        return take_name(a, "latest", err);
    if (n == 0 && (rc = import_store_enter(a->s, a->fallback, err)) == 1)
        rc = import_manifest_take(a->s, &a->digest, "", err);
    return rc;
}

static int
import_archive_image(struct archive *a, const struct json *image, bool only, struct err *err)
{
    const char *name = json_string(json_member(image, "Config"));
    struct buf config;
    int rc;

    buf_init(&config, CONFIG_MAX);
    buf_reset(&a->document);
    if (name == NULL)
        rc = err_set(err, ERR_BAD_IMAGE, "it has no Config");
    else if ((rc = import_files_read(a->files, name, &config, err)) == 0)
        rc = err_set(err, ERR_NO_FILE, "its config isn't there");
    if (rc == 1)
        rc = make_archive_manifest(a, image, name, &config, err);
    buf_free(&config);
    if (rc == 0)
        rc = take_names(a, json_member(image, "RepoTags"), only, err);
    else
        rc = import_store_failed(a->s, err, "image %.150s", name != NULL ? name : "without a name");
    free(a->parts);
    a->parts = NULL;
    a->parts_n = 0;
    return rc;
}

static int
import_archive_images(struct archive *a, const struct json *list, struct err *err)
{
    size_t n = json_length(list);

    if (json_type(list) != JSON_ARRAY)
        return err_set(err, ERR_BAD_IMAGE,
                       "its manifest.json is not a list of images: if skopeo or podman wrote this "
                       "directory (dir:, docker-dir), copy it to an OCI layout first: skopeo copy "
                       "dir:PATH oci:PATH2:TAG");
    a->s->counts->all = n;
    for (size_t i = 0; i < n; i++) {
        a->s->counts->at = i + 1;
        if (import_archive_image(a, json_item(list, i), n == 1, err) < 0)
            return -1;
    }
    return 0;
}

int
import_archive_run(struct import_store *s, const struct import_files *files, const char *name,
                   struct err *err)
{
    struct archive a = {.s = s, .files = files, .fallback = name};
    struct import_source source = {
        .document = find_archive_document, .blob = find_archive_blob, .arg = &a};
    struct json *list;
    int rc;

    s->source = &source;
    buf_init(&a.document, CONFIG_MAX);
    rc = import_files_json(files, "manifest.json", &list, err);
    if (rc == 0)
        rc = err_set(err, ERR_NO_FILE, "it has no manifest.json");
    if (rc == 1) {
        rc = import_archive_images(&a, list, err);
        json_free(list);
    }
    buf_free(&a.document);
    return rc;
}
