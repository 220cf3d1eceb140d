#include "domain/core/platform.h"
#include "domain/core/config.h"
#include "domain/core/pull.h"
#include "storage/tables/tbl_manifest.h"
#include "util/json.h"
#include "util/utf8.h"

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

void
platform_read(struct platform *p, const struct json *is)
{
    snprintf(p->os, sizeof p->os, "%s", member_text(is, "os"));
    snprintf(p->architecture, sizeof p->architecture, "%s", member_text(is, "architecture"));
    snprintf(p->variant, sizeof p->variant, "%s", member_text(is, "variant"));
    normalise(p);
}

void
platform_text(char out[PLATFORM_TEXT_MAX], const struct platform *p)
{
    snprintf(out, PLATFORM_TEXT_MAX, "%s/%s%s%s", p->os, p->architecture,
             p->variant[0] != '\0' ? "/" : "", p->variant);
    utf8_mend(out); /* it may be cut in a character */
}

/* Versions of an architecture's variants, times ten: v3 is 30, v8.2 is 82. This is the first one,
 * that a later one falls back to. 0: the architecture has no such versions. */
static int
first_version(const char *architecture)
{
    return strcmp(architecture, "amd64") == 0   ? 10
           : strcmp(architecture, "arm") == 0   ? 50
           : strcmp(architecture, "arm64") == 0 ? 80
                                                : 0;
}

/* 0: the variant is no version. */
static int
version_of_variant(const struct platform *p)
{
    const char *v = p->variant;
    int version;

    if (v[0] == '\0')
        return first_version(p->architecture);
    if (v[0] != 'v' || v[1] < '1' || v[1] > '9')
        return 0;
    version = 10 * (v[1] - '0');
    if (v[2] == '\0')
        return version;
    return v[2] == '.' && v[3] >= '0' && v[3] <= '9' && v[4] == '\0' ? version + v[3] - '0' : 0;
}

/* The distance of a platform from the wanted one: 0 is equal, more runs as well, -1 doesn't run.
 * github.com/containerd/platforms, platformVector, without its other architectures. */
#define PLATFORM_FAR 99

static int
platform_distance(const struct platform *p, const struct platform *want)
{
    int first = first_version(want->architecture);
    int version = version_of_variant(p), wanted = version_of_variant(want);

    if (strcmp(p->os, want->os) != 0 || strcmp(p->architecture, want->architecture) != 0)
        return -1;
    if (strcmp(p->variant, want->variant) == 0)
        return 0;
    if (first == 0 || version < first || version > wanted)
        return -1;
    /* arm64/v9.x has what v8.(x+5) has. */
    return wanted >= 90 && version < 90 && version > wanted - 5 ? -1 : wanted - version;
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
    if (manifest_parse(&out->manifest, out->document, r.media_type, s->arena, err) != 0)
        return err->code == ERR_SYSTEM ? -1 : 0; /* it is damaged */
    return 1;
}

/* is: what names a platform, an entry of an index or a config. */
static void
note_seen_platform(struct platform_search *s, const struct json *is)
{
    const char *variant = member_text(is, "variant");
    size_t n = strlen(s->seen);
    char text[80];
    int length =
        snprintf(text, sizeof text, "%s%s/%s%s%s", n > 0 ? ", " : "", member_text(is, "os"),
                 member_text(is, "architecture"), variant[0] != '\0' ? "/" : "", variant);

    if (s->want != NULL && member_text(is, "os")[0] != '\0' && length < (int)sizeof text &&
        n + (size_t)length < sizeof s->seen)
        memcpy(s->seen + n, text, (size_t)length + 1);
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
    struct platform is;
    int distance = 0, rc;

    if (s->want != NULL) {
        if (s->read > READ_MAX)
            return refuse_search(err);
        rc = config_read(s->reg, &image->manifest.config, s->arena, &config, &doc, err);
        s->read += config.n;
        if (rc != 1)
            return rc;
        platform_read(&is, doc);
        distance = platform_distance(&is, s->want);
        if (distance < 0)
            note_seen_platform(s, doc);
        json_free(doc);
    }
    if (distance < 0 || (s->far > 0 && s->far <= distance))
        return 0;
    s->far = distance;
    *s->out = *image;
    return distance == 0;
}

/* ---- an index ---- */

/* The order in which entries are tried. If a platform is wanted, an entry's rank is its distance.
 */
enum rank {
    RANK_BEST,  /* the wanted platform; linux/amd64 when none is wanted */
    RANK_AMD64, /* a later variant of it; only when none is wanted */
    RANK_LINUX, /* only when none is wanted */
    RANK_ANY = PLATFORM_FAR + 1,
    RANK_NONE, /* never tried */
};

/* is: the platform that an entry of an index names. */
static enum rank
rank_of_entry(const struct platform_search *s, const struct json *is)
{
    struct platform p;
    int distance;

    platform_read(&p, is);
    if (s->want != NULL) {
        distance = platform_distance(&p, s->want);
        if (distance >= 0)
            return (enum rank)distance;
        return p.os[0] == '\0' ? RANK_ANY : RANK_NONE; /* without a name, its config tells it */
    }
    if (strcmp(p.os, "linux") != 0)
        return RANK_ANY;
    if (strcmp(p.architecture, "amd64") != 0)
        return RANK_LINUX;
    return p.variant[0] == '\0' ? RANK_BEST : RANK_AMD64;
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
    enum rank rank, next = RANK_BEST;
    int rc = 0;

    for (size_t i = 0; i < json_length(entries); i++)
        note_seen_platform(s, json_member(json_item(entries, i), "platform"));
    do {
        rank = next;
        next = RANK_NONE;
        for (size_t i = 0; i < json_length(entries) && rc == 0; i++) {
            const struct json *entry = json_item(entries, i);
            enum rank its = rank_of_entry(s, json_member(entry, "platform"));

            if (its == rank)
                rc = search_entry(s, entry, nesting, err);
            else if (its > rank && its < next)
                next = its;
        }
    } while (rc == 0 && next != RANK_NONE);
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
