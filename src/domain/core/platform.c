#include "domain/core/platform.h"

#include <stdio.h>
#include <string.h>

#include "domain/core/pull.h"
#include "storage/files/blob_file.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_manifest.h"
#include "util/arena.h"
#include "util/json.h"
#include "util/banned.h"

#define JSON_DEPTH_MAX 32

/* So many manifests are looked at for one request, and indexes in indexes are followed so deep. */
#define LOOKS_MAX 200
#define NESTING_MAX 4

static bool
take_part(char out[64], const char **text)
{
    size_t n = strcspn(*text, "/");

    if (n == 0 || n >= 64)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((*text)[i] <= ' ' || (*text)[i] > '~')
            return false;
    memcpy(out, *text, n);
    out[n] = '\0';
    *text += n;
    return true;
}

int
platform_parse(struct platform *p, const char *text, struct err *err)
{
    const char *at = text;

    *p = (struct platform){.variant = ""};
    if (take_part(p->os, &at) && *at++ == '/' && take_part(p->architecture, &at) &&
        (*at == '\0' || (*at++ == '/' && take_part(p->variant, &at) && *at == '\0')))
        return 0;
    err_set(err, ERR_BAD_REQUEST, "that is no platform");
    err_expected(err, "os/architecture or os/architecture/variant, such as linux/arm64");
    return err_found(err, "platform=%s", text);
}

static const char *
text_of(const struct json *object, const char *name)
{
    const char *text = json_string(json_member(object, name));

    return text != NULL ? text : "";
}

static bool
is_platform(const struct json *is, const struct platform *want)
{
    const char *variant = text_of(is, "variant"), *architecture = text_of(is, "architecture");

    if (strcmp(text_of(is, "os"), want->os) != 0 || strcmp(architecture, want->architecture) != 0)
        return false;
    /* What says nothing is the usual one. */
    if (variant[0] == '\0' && strcmp(architecture, "arm64") == 0)
        variant = "v8";
    return want->variant[0] == '\0' || strcmp(variant, want->variant) == 0;
}

/* ---- one manifest ---- */

struct search {
    const struct registry *reg;
    uint64_t repo;
    const struct platform *want;
    struct arena *arena;
    struct platform_image *out;
    unsigned looks;
    char seen[128]; /* platforms that there are, for whoever asked for another */
};

/* 1, 0: the repository doesn't have it; -1. */
static int
load_platform_document(struct search *s, const struct digest *d, struct platform_image *out,
                       struct err *err)
{
    struct rec_manifest r;
    int rc = tbl_manifest_get(kv_reads(s->reg->kv), s->repo, d, &r, err);

    if (rc == 1)
        rc = pull_document(s->reg, d, r.size, s->arena, &out->document, err);
    if (rc != 1)
        return rc;
    out->digest = *d;
    return manifest_parse(&out->manifest, out->document, r.media_type, s->arena, err) == 0 ? 1 : -1;
}

int
platform_config(const struct registry *reg, const struct digest *config, struct arena *arena,
                struct bytes *out, struct err *err)
{
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(reg->kv), config, &r, err);
    char *text;

    if (rc != 1)
        return rc;
    if (r.size > PLATFORM_CONFIG_MAX)
        return 0;
    text = arena_alloc(arena, (size_t)r.size + 1);
    if (text == NULL)
        return arena_full(err);
    if (blob_file_read(reg->dirfd, config, r.instance, text, (size_t)r.size, err) != 0)
        return -1;
    *out = bytes_of(text, (size_t)r.size);
    return 1;
}

/* An image that stands for itself is of one platform as well. 1, 0, -1. */
static int
suits(struct search *s, const struct manifest *m, struct err *err)
{
    struct bytes config = {NULL, 0};
    struct err ignored;
    struct json *doc;
    int rc;

    if (s->want == NULL)
        return 1;
    rc = platform_config(s->reg, &m->config, s->arena, &config, err);
    if (rc != 1 || json_parse(config, JSON_DEPTH_MAX, &doc, &ignored) != 0)
        return rc < 0 ? -1 : 0;
    rc = is_platform(doc, s->want);
    if (rc == 0)
        snprintf(s->seen, sizeof s->seen, "%.50s/%.50s", text_of(doc, "os"),
                 text_of(doc, "architecture"));
    json_free(doc);
    return rc;
}

/* ---- an index ---- */

/* How good a choice an entry is. */
enum rank {
    RANK_BEST,  /* what is asked for, or linux/amd64 */
    RANK_LINUX, /* where nothing was asked for */
    RANK_ANY,
    RANK_COUNT,
};

static bool
is_of_rank(const struct search *s, const struct json *is, enum rank rank)
{
    static const struct platform usual = {"linux", "amd64", ""};

    if (rank == RANK_BEST)
        return is_platform(is, s->want != NULL ? s->want : &usual);
    if (s->want != NULL)
        return false;
    return rank == RANK_ANY || strcmp(text_of(is, "os"), "linux") == 0;
}

static void
note_platform(struct search *s, const struct json *is)
{
    size_t n = strlen(s->seen);

    if (s->want != NULL && text_of(is, "os")[0] != '\0' && strlen(text_of(is, "os")) < 20 &&
        strlen(text_of(is, "architecture")) < 20 && n + 44 < sizeof s->seen)
        snprintf(s->seen + n, sizeof s->seen - n, "%s%s/%s", n > 0 ? ", " : "", text_of(is, "os"),
                 text_of(is, "architecture"));
}

static int look_into(struct search *s, const struct digest *d, unsigned nesting, struct err *err);

/* What an entry of an index leads to. 1, 0, -1. */
static int
try_entry(struct search *s, const struct json *entry, unsigned nesting, struct err *err)
{
    const char *digest = text_of(entry, "digest");
    const struct platform *want = s->want;
    struct digest d;
    struct err ignored;
    int rc;

    if (digest_parse(&d, digest, strlen(digest), &ignored) != 0 || s->looks == LOOKS_MAX)
        return 0;
    /* The entry has said of which platform it is. */
    s->want = text_of(json_member(entry, "platform"), "os")[0] != '\0' ? NULL : want;
    rc = look_into(s, &d, nesting + 1, err);
    s->want = want;
    return rc;
}

static int
look_through(struct search *s, const struct json *entries, unsigned nesting, struct err *err)
{
    int rc = 0;

    for (enum rank rank = 0; rank < RANK_COUNT && rc == 0; rank++) {
        for (size_t i = 0; i < json_length(entries) && rc == 0; i++) {
            const struct json *entry = json_item(entries, i);
            const struct json *is = json_member(entry, "platform");
            bool silent = text_of(is, "os")[0] == '\0';

            if (rank == RANK_BEST)
                note_platform(s, is);
            if (is_of_rank(s, is, rank) || (silent && s->want != NULL && rank == RANK_ANY))
                rc = try_entry(s, entry, nesting, err);
        }
    }
    return rc;
}

static int
look_into(struct search *s, const struct digest *d, unsigned nesting, struct err *err)
{
    struct platform_image found;
    struct json *doc;
    int rc;

    s->looks++;
    rc = load_platform_document(s, d, &found, err);
    if (rc != 1)
        return rc;
    if (found.manifest.config.algo != DIGEST_NONE) {
        rc = found.manifest.is_image ? suits(s, &found.manifest, err) : 0;
        if (rc == 1)
            *s->out = found;
        return rc;
    }
    if (nesting == NESTING_MAX || json_parse(found.document, JSON_DEPTH_MAX, &doc, err) != 0)
        return 0;
    rc = look_through(s, json_member(doc, "manifests"), nesting, err);
    json_free(doc);
    return rc;
}

int
platform_find(const struct registry *reg, uint64_t repo, const struct digest *manifest,
              const struct platform *want, struct arena *arena, struct platform_image *out,
              struct err *err)
{
    struct search s = {.reg = reg, .repo = repo, .want = want, .arena = arena, .out = out};
    struct rec_manifest r;
    char text[DIGEST_TEXT_MAX];
    int rc = look_into(&s, manifest, 0, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    digest_text(text, manifest);
    rc = tbl_manifest_get(kv_reads(reg->kv), repo, manifest, &r, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(err, ERR_NO_MANIFEST, "the repository has no manifest %s", text);
    if (want == NULL)
        return err_set(err, ERR_NO_IMAGE, "%s is no image: there are no files to look at", text);
    err_set(err, ERR_NO_IMAGE, "%s has no image for %s/%s%s%s", text, want->os, want->architecture,
            want->variant[0] != '\0' ? "/" : "", want->variant);
    return s.seen[0] != '\0' ? err_found(err, "%s", s.seen) : -1;
}
