#include "domain/core/platform.h"
#include "domain/core/config.h"
#include "domain/core/pull.h"
#include "storage/tables/tbl_manifest.h"
#include "util/json.h"

#define JSON_DEPTH_MAX 32

/* Manifests that are looked at in one search, and bytes of documents that are read after the first
 * one until no further one is read. */
#define LOOKS_MAX 200
#define READ_MAX (1u << 20)

/* Memory for choosing an image of an index, in bytes. */
#define CHOICE_MEMORY (16u << 20)

/* Depth of indexes in indexes. */
#define NESTING_MAX 4

static bool
parse_platform_part(char out[64], const char **text)
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

static void
set_platform(struct platform *p, const char *architecture, const char *variant)
{
    snprintf(p->architecture, sizeof p->architecture, "%s", architecture);
    snprintf(p->variant, sizeof p->variant, "%s", variant);
}

static void
make_small(char *text)
{
    for (; *text != '\0'; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

/* github.com/containerd/platforms, normalizeOS and normalizeArch. */
static void
normalise(struct platform *p)
{
    static const struct {
        const char *is, *variant; /* NULL: whichever */
        const char *means, *means_variant;
    } names[] = {
        {"i386", NULL, "386", ""},      {"x86_64", "", "amd64", ""},
        {"x86-64", "", "amd64", ""},    {"x86_64", "v1", "amd64", ""},
        {"x86-64", "v1", "amd64", ""},  {"amd64", "v1", "amd64", ""},
        {"aarch64", "", "arm64", ""},   {"aarch64", "8", "arm64", ""},
        {"aarch64", "v8", "arm64", ""}, {"aarch64", "v8.0", "arm64", ""},
        {"arm64", "8", "arm64", ""},    {"arm64", "v8", "arm64", ""},
        {"arm64", "v8.0", "arm64", ""}, {"armhf", NULL, "arm", "v7"},
        {"armel", NULL, "arm", "v6"},   {"arm", "", "arm", "v7"},
        {"arm", "5", "arm", "v5"},      {"arm", "6", "arm", "v6"},
        {"arm", "7", "arm", "v7"},      {"arm", "8", "arm", "v8"},
    };

    make_small(p->os);
    make_small(p->architecture);
    make_small(p->variant);
    if (strcmp(p->os, "macos") == 0)
        snprintf(p->os, sizeof p->os, "darwin");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(p->architecture, names[i].is) == 0 &&
            (names[i].variant == NULL || strcmp(p->variant, names[i].variant) == 0)) {
            set_platform(p, names[i].means, names[i].means_variant);
            return;
        }
}

int
platform_parse(struct platform *p, const char *text, struct err *err)
{
    const char *at = text;

    *p = (struct platform){.variant = ""};
    if (parse_platform_part(p->os, &at) && *at++ == '/' &&
        parse_platform_part(p->architecture, &at) &&
        (*at == '\0' || (*at++ == '/' && parse_platform_part(p->variant, &at) && *at == '\0'))) {
        normalise(p);
        return 0;
    }
    err_set(err, ERR_BAD_REQUEST, "invalid platform");
    err_expected(err, "os/architecture or os/architecture/variant, such as linux/arm64");
    return err_found(err, "platform=%s", text);
}

static const char *
member_text(const struct json *object, const char *name)
{
    const char *text = json_string(json_member(object, name));

    return text != NULL ? text : "";
}

static struct platform
platform_of(const struct json *is)
{
    struct platform p;

    snprintf(p.os, sizeof p.os, "%s", member_text(is, "os"));
    snprintf(p.architecture, sizeof p.architecture, "%s", member_text(is, "architecture"));
    snprintf(p.variant, sizeof p.variant, "%s", member_text(is, "variant"));
    normalise(&p);
    return p;
}

/* The number of an arm's variant, v5 to v8; 0: another one. */
static int
arm_number(const struct platform *p)
{
    const char *v = p->variant;

    return strcmp(p->architecture, "arm") == 0 && v[0] == 'v' && v[1] >= '5' && v[1] <= '8' &&
                   v[2] == '\0'
               ? v[1] - '0'
               : 0;
}

/* The distance of a platform from the wanted one: 0 is equal, more runs as well, -1 doesn't run. */
#define PLATFORM_FAR 3

static int
platform_distance(const struct json *is, const struct platform *want)
{
    struct platform p = platform_of(is);

    if (strcmp(p.os, want->os) != 0 || strcmp(p.architecture, want->architecture) != 0)
        return -1;
    if (strcmp(p.variant, want->variant) == 0)
        return 0;
    if (want->variant[0] == '\0')
        return 1;
    return arm_number(&p) > 0 && arm_number(&p) < arm_number(want)
               ? arm_number(want) - arm_number(&p)
               : -1;
}

/* ---- one manifest ---- */

struct platform_search {
    const struct registry *reg;
    uint64_t repo;
    const struct platform *want;
    struct arena *arena;
    struct platform_image *out;
    unsigned looks;
    size_t read;    /* bytes of documents after the first */
    int far;        /* the distance of the image in out, if only its config tells it; 0: none */
    char seen[128]; /* the existing platforms, for the error if none is the wanted one */
};

/* 1, 0 (the repository doesn't have it), -1. */
static int
read_candidate(struct platform_search *s, const struct digest *d, struct platform_image *out,
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

static int
refuse_search(struct err *err)
{
    return err_set(err, ERR_TOO_LARGE,
                   "too much has to be read to find an image of this index: ask for the image's "
                   "own digest instead");
}

/* Takes an image, if no entry of an index has named its platform, by the platform of its config.
 * 1: no other one is nearer; 0, -1. */
static int
take_image(struct platform_search *s, const struct platform_image *image, struct err *err)
{
    struct bytes config;
    struct json *doc;
    int distance = 0, rc;

    if (s->want != NULL) {
        if (s->read > READ_MAX)
            return refuse_search(err);
        rc = config_read(s->reg, &image->manifest.config, s->arena, &config, &doc, err);
        s->read += config.n;
        if (rc != 1)
            return rc;
        distance = platform_distance(doc, s->want);
        if (distance < 0)
            snprintf(s->seen, sizeof s->seen, "%.50s/%.50s", member_text(doc, "os"),
                     member_text(doc, "architecture"));
        json_free(doc);
    }
    if (distance < 0 || (s->far > 0 && s->far <= distance))
        return 0;
    s->far = distance;
    *s->out = *image;
    return distance == 0;
}

/* ---- an index ---- */

/* The order in which entries are tried. */
enum rank {
    RANK_BEST, /* the wanted platform; linux/amd64 when none is wanted */
    RANK_FAR = RANK_BEST + PLATFORM_FAR,
    RANK_LINUX, /* only when none is wanted */
    RANK_ANY,
    RANK_COUNT,
};

static bool
is_of_rank(const struct platform_search *s, const struct json *is, enum rank rank)
{
    static const struct platform usual = {"linux", "amd64", ""};

    if (rank <= RANK_FAR)
        return platform_distance(is, s->want != NULL ? s->want : &usual) == (int)rank;
    if (s->want != NULL)
        return false;
    return rank == RANK_ANY || strcmp(member_text(is, "os"), "linux") == 0;
}

static void
note_seen_platform(struct platform_search *s, const struct json *is)
{
    size_t n = strlen(s->seen);

    if (s->want != NULL && member_text(is, "os")[0] != '\0' && strlen(member_text(is, "os")) < 20 &&
        strlen(member_text(is, "architecture")) < 20 && n + 44 < sizeof s->seen)
        snprintf(s->seen + n, sizeof s->seen - n, "%s%s/%s", n > 0 ? ", " : "",
                 member_text(is, "os"), member_text(is, "architecture"));
}

static int search_manifest(struct platform_search *s, const struct digest *d, unsigned nesting,
                           struct err *err);

/* 1, 0, -1. */
static int
search_entry(struct platform_search *s, const struct json *entry, unsigned nesting, struct err *err)
{
    const char *digest = member_text(entry, "digest");
    const struct platform *want = s->want;
    struct digest d;
    struct err ignored;
    int rc;

    if (digest_parse(&d, digest, strlen(digest), &ignored) != 0)
        return 0;
    if (s->looks == LOOKS_MAX || s->read > READ_MAX)
        return refuse_search(err);
    /* If the entry names a platform, the image's config isn't asked. */
    s->want = member_text(json_member(entry, "platform"), "os")[0] != '\0' ? NULL : want;
    rc = search_manifest(s, &d, nesting + 1, err);
    s->want = want;
    return rc;
}

static int
search_index(struct platform_search *s, const struct json *entries, unsigned nesting,
             struct err *err)
{
    int rc = 0;

    for (enum rank rank = 0; rank < RANK_COUNT && rc == 0; rank++) {
        for (size_t i = 0; i < json_length(entries) && rc == 0; i++) {
            const struct json *entry = json_item(entries, i);
            const struct json *is = json_member(entry, "platform");
            bool silent = member_text(is, "os")[0] == '\0';

            if (rank == RANK_BEST)
                note_seen_platform(s, is);
            if (is_of_rank(s, is, rank) || (silent && s->want != NULL && rank == RANK_ANY))
                rc = search_entry(s, entry, nesting, err);
        }
    }
    return rc;
}

static int
search_manifest(struct platform_search *s, const struct digest *d, unsigned nesting,
                struct err *err)
{
    struct platform_image found;
    struct json *doc;
    int rc;

    s->looks++;
    rc = read_candidate(s, d, &found, err);
    if (rc != 1)
        return rc;
    s->read += s->looks > 1 ? found.document.n : 0;
    if (found.manifest.config.algo != DIGEST_NONE)
        return found.manifest.is_image ? take_image(s, &found, err) : 0;
    if (nesting == NESTING_MAX || json_parse(found.document, JSON_DEPTH_MAX, &doc, err) != 0)
        return 0;
    rc = search_index(s, json_member(doc, "manifests"), nesting, err);
    json_free(doc);
    return rc;
}

int
platform_choose(const struct registry *reg, uint64_t repo, struct bytes index,
                struct digest *chosen, struct err *err)
{
    struct platform_image found;
    struct arena arena;
    struct platform_search s = {.reg = reg, .repo = repo, .arena = &arena, .out = &found};
    struct json *doc;
    int rc;

    if (json_parse(index, JSON_DEPTH_MAX, &doc, err) != 0)
        return -1;
    arena_init(&arena, CHOICE_MEMORY);
    rc = search_index(&s, json_member(doc, "manifests"), 0, err);
    if (rc == 1)
        *chosen = found.digest;
    arena_reset(&arena);
    json_free(doc);
    return rc < 0 && err->code == ERR_TOO_LARGE ? 0 : rc;
}

int
platform_find(const struct registry *reg, uint64_t repo, const struct digest *manifest,
              const struct platform *want, struct arena *arena, struct platform_image *out,
              struct err *err)
{
    struct platform_search s = {.reg = reg, .repo = repo, .want = want, .arena = arena, .out = out};
    struct rec_manifest r;
    char text[DIGEST_TEXT_MAX];
    int rc = search_manifest(&s, manifest, 0, err);

    if (rc != 0 || s.far > 0)
        return rc < 0 ? -1 : 0;
    digest_text(text, manifest);
    rc = tbl_manifest_get(kv_reads(reg->kv), repo, manifest, &r, err);
    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(err, ERR_NO_MANIFEST, "the repository has no manifest %s", text);
    if (want == NULL)
        return err_set(err, ERR_NO_IMAGE, "%s is not an image: it has no files", text);
    err_set(err, ERR_NO_IMAGE, "%s has no image for %s/%s%s%s", text, want->os, want->architecture,
            want->variant[0] != '\0' ? "/" : "", want->variant);
    return s.seen[0] != '\0' ? err_found(err, "%s", s.seen) : -1;
}
