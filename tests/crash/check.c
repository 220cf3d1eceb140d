#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/core/blob.h"
#include "domain/core/garbage.h"
#include "domain/core/pull.h"
#include "domain/core/upload.h"
#include "domain/core/upload_expiry.h"
#include "storage/files/blob_file.h"
#include "storage/files/upload_dir.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "util/arena.h"
#include "util/fdio.h"
#include "util/mem.h"

#define MEMORY (16u << 20)
#define ROUNDS 4
#define HOUR_MS (3600ull * 1000)

/* ---- what is expected ---- */

void
check_begin(struct check *c)
{
    *c = (struct check){0};
    for (unsigned r = 0; r < LOAD_REPOSITORIES; r++)
        for (unsigned t = 0; t < LOAD_TAGS; t++)
            c->tag[r][t] = CHECK_NONE;
}

static void
expect_push(struct check *c, const struct load_step *s, bool done)
{
    unsigned *tag = &c->tag[s->repository][s->tag];

    *tag = (done ? 0 : *tag) | 1u << s->image;
    c->image_maybe[s->repository][s->image] = true;
    if (done)
        c->image[s->repository][s->image] = true;
}

static void
expect_image_gone(struct check *c, const struct load_step *s, bool done)
{
    c->image[s->repository][s->image] = false;
    if (done)
        c->image_maybe[s->repository][s->image] = false;
    for (unsigned t = 0; t < LOAD_TAGS; t++) {
        unsigned *tag = &c->tag[s->repository][t];

        if ((*tag & 1u << s->image) == 0)
            continue;
        if (done)
            *tag &= ~(1u << s->image);
        *tag |= CHECK_NONE;
    }
}

void
check_add(struct check *c, const struct load_step *s, enum check_end end)
{
    bool done = end == CHECK_DONE;
    bool *loose = &c->loose[s->repository][s->blob];

    if (end == CHECK_NOT_BEGUN)
        return;
    switch (s->kind) {
    case LOAD_PUSH:
        expect_push(c, s, done);
        break;
    case LOAD_TAG_GOES:
        c->tag[s->repository][s->tag] = CHECK_NONE | (done ? 0 : c->tag[s->repository][s->tag]);
        break;
    case LOAD_IMAGE_GOES:
        expect_image_gone(c, s, done);
        break;
    case LOAD_BLOB:
        *loose = *loose || done;
        break;
    case LOAD_MOUNT:
        *loose = *loose || (done && c->loose[(s->repository + 1) % LOAD_REPOSITORIES][s->blob]);
        break;
    case LOAD_BLOB_GOES:
        *loose = false;
        break;
    case LOAD_GARBAGE:
        memset(c->loose, 0, sizeof c->loose);
        break;
    case LOAD_HALF:
    case LOAD_CHECKPOINT:
    case LOAD_UPKEEP:
    case LOAD_KINDS:
        break;
    }
}

/* ---- what is there ---- */

struct looking {
    const struct registry *reg;
    const struct check *c;
    struct arena arena;
    struct err err;
    char *why;
    size_t why_n;
};

#define WRONG(x, ...) (snprintf((x)->why, (x)->why_n, __VA_ARGS__), -1)

/* 1 it is there, with these bytes; 0; -1. */
static int
look_at_blob(struct looking *x, const char *repository, const struct digest *d, const char *text,
             size_t n)
{
    struct bytes found;
    struct blob b;
    int rc = blob_find(x->reg, repository, d, false, &b, &x->err);

    if (rc < 0)
        return WRONG(x, "a blob of %s can't be looked for: %s", repository, x->err.message);
    if (rc == 0)
        return 0;
    if (b.size != n)
        return WRONG(x, "a blob of %s has a record of %llu bytes, not %zu", repository,
                     (unsigned long long)b.size, n);
    rc = blob_read(x->reg, d, &b, &x->arena, &found, &x->err);
    if (rc != 1)
        return WRONG(x, "a blob of %s of %zu bytes has a record, but no whole file", repository, n);
    if (found.n != n || memcmp(found.p, text, n) != 0)
        return WRONG(x, "a blob of %s of %zu bytes has other bytes", repository, n);
    return 1;
}

static int
look_at_parts(struct looking *x, unsigned repository, unsigned image)
{
    for (unsigned i = 0; i < load_layers_n(image); i++) {
        struct digest d;
        size_t n;
        char *text = load_layer(image, i, &n, &d);
        int rc = look_at_blob(x, load_repository(repository), &d, text, n);

        free(text);
        if (rc < 0)
            return -1;
        if (rc == 0)
            return WRONG(x, "image %u in %s lacks part %u", image, load_repository(repository), i);
    }
    return 0;
}

/* The image that a reference leads to: its number, or LOAD_IMAGES for none; -1. */
static int
look_at_reference(struct looking *x, unsigned repository, const struct reference *ref)
{
    struct pulled p;
    struct bytes document;

    arena_reset(&x->arena);
    if (pull_manifest(x->reg, load_repository(repository), ref, true, &x->arena, &p, &x->err) != 0)
        return x->err.code == ERR_NO_MANIFEST || x->err.code == ERR_NO_REPOSITORY
                   ? LOAD_IMAGES
                   : WRONG(x, "%s can't be pulled: %s", load_repository(repository),
                           x->err.message);
    document = p.document;
    if (p.path[0] != '\0' &&
        pull_blob(x->reg, &p.digest, 1u << 20, &x->arena, &document, &x->err) != 1)
        return WRONG(x, "a large manifest in %s has no whole file", load_repository(repository));
    for (unsigned i = 0; i < LOAD_IMAGES; i++) {
        struct digest d;
        size_t n;
        char *text = load_manifest(i, &n, &d);
        bool is_this = digest_equal(&d, &p.digest), same = false;

        if (is_this)
            same = document.n == n && memcmp(document.p, text, n) == 0;
        free(text);
        if (is_this)
            return same ? (int)i
                        : WRONG(x, "a manifest in %s has other bytes", load_repository(repository));
    }
    return WRONG(x, "%s has a manifest that nobody pushed", load_repository(repository));
}

static int
look_at_images(struct looking *x, unsigned r)
{
    for (unsigned i = 0; i < LOAD_IMAGES; i++) {
        struct reference ref = {.tag = NULL};
        size_t n;
        int found;

        free(load_manifest(i, &n, &ref.digest));
        found = look_at_reference(x, r, &ref);
        if (found < 0)
            return -1;
        if (found == LOAD_IMAGES && x->c->image[r][i])
            return WRONG(x, "image %u in %s is lost", i, load_repository(r));
        if (found != LOAD_IMAGES && !x->c->image[r][i] && !x->c->image_maybe[r][i])
            return WRONG(x, "image %u in %s has come back", i, load_repository(r));
        if (found != LOAD_IMAGES && look_at_parts(x, r, i) != 0)
            return -1;
    }
    return 0;
}

static int
look_at_tags(struct looking *x, unsigned r)
{
    for (unsigned t = 0; t < LOAD_TAGS; t++) {
        struct reference ref = {.tag = load_tag(t)};
        int found = look_at_reference(x, r, &ref);

        if (found < 0)
            return -1;
        if ((x->c->tag[r][t] & 1u << found) == 0)
            return WRONG(x, "tag %s of %s leads to %s%d, but may lead to %x only", load_tag(t),
                         load_repository(r), found == LOAD_IMAGES ? "nothing " : "image ", found,
                         x->c->tag[r][t]);
    }
    return 0;
}

static int
look_at_loose(struct looking *x, unsigned r)
{
    for (unsigned i = 0; i < LOAD_LOOSE; i++) {
        struct digest d;
        size_t n;
        char *text = load_loose(i, &n, &d);
        int rc = look_at_blob(x, load_repository(r), &d, text, n);

        free(text);
        if (rc < 0)
            return -1;
        if (rc == 0 && x->c->loose[r][i])
            return WRONG(x, "blob %u of %s is lost", i, load_repository(r));
    }
    return 0;
}

static int
look_at_all(struct looking *x)
{
    for (unsigned r = 0; r < LOAD_REPOSITORIES; r++)
        if (look_at_images(x, r) != 0 || look_at_tags(x, r) != 0 || look_at_loose(x, r) != 0)
            return -1;
    return 0;
}

/* ---- leaks ---- */

static int
find_record(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg, struct err *err)
{
    struct looking *x = arg;
    char path[BLOB_FILE_PATH_MAX];
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(x->reg->kv), d, &r, err);

    (void)age_s;
    if (rc == 1 && r.instance == instance)
        return 0;
    blob_file_path(path, d, instance);
    return err_set(err, ERR_SYSTEM, "a file without a record stays: %s (%s)", path,
                   rc == 1 ? "the record has another instance" : "no record");
}

/* A round of the sweep removes one file of each digest, and a crash may leave several. */
static int
sweep_all(struct looking *x)
{
    for (unsigned i = 0; i < DIGEST_DIRECTORIES; i++)
        if (garbage_sweep(x->reg, i, &x->err) != 0)
            return WRONG(x, "the sweep failed: %s", x->err.message);
    return load_collect(x->reg, &x->err) == 0
               ? 0
               : WRONG(x, "garbage can't be collected: %s", x->err.message);
}

/* All that nobody needs goes, and all that somebody needs stays. */
static int
look_for_leaks(struct looking *x)
{
    struct err *err = &x->err;
    const struct dirent *e;
    DIR *dir;
    bool left = false;
    size_t n;

    load_forward_ms(10000 * HOUR_MS); /* the clock of the load was ahead, too */
    if (upload_expiry_run(x->reg, err) != 0)
        return WRONG(x, "uploads can't be ended: %s", err->message);
    for (int i = 0; i < 2; i++) { /* the first call also counts what it removes */
        n = 0;
        if (upload_dir_sweep_bodies(x->reg->dirfd, &n, err) != 0)
            return WRONG(x, "bodies of uploads can't be removed: %s", err->message);
    }
    if (n > 0)
        return WRONG(x, "%zu bodies of uploads stay", n);
    for (int i = 0; i < ROUNDS; i++)
        if (sweep_all(x) != 0)
            return -1;
    for (unsigned i = 0; i < DIGEST_DIRECTORIES; i++)
        if (blob_file_each(x->reg->blobs, i, find_record, x, err) != 0)
            return WRONG(x, "%s", err->message);
    dir = opendir("uploads");
    while (dir != NULL && (e = readdir(dir)) != NULL)
        left = left || (e->d_name[0] != '.' && strcmp(e->d_name, "body") != 0);
    if (dir != NULL)
        closedir(dir);
    return left ? WRONG(x, "an upload stays for ever") : 0;
}

/* ---- the whole ---- */

static int
use_store(struct looking *x)
{
    struct load_step push = {.kind = LOAD_PUSH, .image = 3};
    struct check after = *x->c;

    if (look_at_all(x) != 0)
        return -1;
    if (load_do(x->reg, &push, &x->err) != 0)
        return WRONG(x, "nothing can be pushed: %s", x->err.message);
    check_add(&after, &push, CHECK_DONE);
    memset(after.loose, 0, sizeof after.loose);
    x->c = &after;
    if (look_for_leaks(x) != 0 || look_at_all(x) != 0)
        return -1;
    if (kv_checkpoint(x->reg->kv, 0, 0, &x->err) != 0)
        return WRONG(x, "no checkpoint: %s", x->err.message);
    return 0;
}

int
check_open_store(const struct registry *reg, const struct check *c, char *why, size_t why_n)
{
    struct looking x = {.reg = reg, .c = c, .why = why, .why_n = why_n};
    int rc;

    arena_init(&x.arena, MEMORY);
    rc = use_store(&x);
    arena_reset(&x.arena);
    return rc;
}

int
check_leaks(const struct registry *reg, char *why, size_t why_n)
{
    struct looking x = {.reg = reg, .why = why, .why_n = why_n};

    return look_for_leaks(&x);
}

int
check_store(const struct check *c, char *why, size_t why_n)
{
    struct registry reg;
    struct err err;
    int rc;

    if (load_open(&reg, false, false, &err) != 0) {
        snprintf(why, why_n, "the store can't be opened: %s", err.message);
        return -1;
    }
    rc = check_open_store(&reg, c, why, why_n);
    if (rc == 0)
        load_close(&reg);
    return rc;
}
