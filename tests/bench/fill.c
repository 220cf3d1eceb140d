/* Fills the store of a registry that doesn't run with images, many times as fast as clients can
 * push them: the code that stores them is the registry's, but nothing is synced until the end.
 *
 *   fill DIR [repositories=N] [images=N] [tags=N] [layers=N] [bytes=N] [names=TEXT]
 *
 * DIR is the data directory of a registry that was started once. Each of N repositories TEXT/000001
 * gets N images, each with N tags, and with a config and N layers of its own. bytes=0: blobs have
 * records and no files, which is enough for lists, for recovery, and for the size of the database.
 * The defaults are 1, 1, 1, 0, 0 and "fill". */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "storage/files/blob_store.h"
#include "domain/core/blob_draft.h"
#include "domain/core/lease.h"
#include "domain/core/push.h"
#include "domain/core/repository.h"
#include "domain/v1/image_foreign.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/parse.h"
#include "util/random.h"

#define IMAGE "application/vnd.oci.image.manifest.v1+json"
#define LAYERS_MAX 127
#define CHECKPOINT_EACH 500
#define LOG_KBYTES 8192

struct filling {
    struct registry reg;
    struct arena arena;
    uint64_t repositories, images, tags, layers, bytes;
    const char *names;
    char repository[64];
    char *content;
    struct digest blobs[LAYERS_MAX + 1]; /* of an image: the config is the first */
    struct blob_draft drafts[LAYERS_MAX + 1];
};

static const struct actor nobody = {.user = "fill", .address = "", .quiet = true};
static struct err err;

/* These take the place of the C library's, also for the database. */
int
fsync(int fd)
{
    (void)fd;
    return 0;
}

int
fdatasync(int fd)
{
    (void)fd;
    return 0;
}

static _Noreturn void
fail(const char *what)
{
    fprintf(stderr, "fill: %s: %s\n", what, err.message);
    exit(1);
}

static void
lost(const char *why)
{
    fprintf(stderr, "fill: the store is lost: %s\n", why);
    exit(1);
}

static int
put_blobs(struct txn *t, void *arg, struct err *e)
{
    struct filling *f = arg;
    uint64_t now = clock_wall_ms();
    struct rec_repo repo = {.id = 0};
    size_t n = (size_t)f->layers + 1;

    if (repository_enter(t, &f->reg, f->repository, now, &repo, e) != 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct rec_blob r = {.size = 4096, .instance = random_u64(), .leased_until = now};
        int rc = f->bytes > 0 ? blob_draft_put(t, &f->drafts[i], now, e)
                              : tbl_blob_put(t, &f->blobs[i], &r, e);

        if (rc != 0)
            return -1;
    }
    for (size_t i = 0; i < n; i++) {
        struct edge member = {.to = f->blobs[i], .kind = EDGE_MEMBER, .repo = repo.id};

        if (tbl_edge_put(t, &member, e) != 0)
            return -1;
    }
    return 0;
}

static int
order_digests(const void *a, const void *b)
{
    return digest_compare(a, b);
}

static void
store_blobs(struct filling *f, uint64_t image)
{
    size_t n = (size_t)f->layers + 1;
    size_t text_n = (size_t)f->bytes > 64 ? (size_t)f->bytes : 64;

    memset(f->content, ' ', text_n);
    for (size_t i = 0; i < n; i++) {
        snprintf(f->content, text_n, "%s %" PRIu64 " %zu", f->repository, image, i);
        digest_of(&f->blobs[i], DIGEST_SHA256, bytes_of(f->content, text_n));
        if (f->bytes == 0)
            continue;
        f->drafts[i] = blob_draft_of_bytes(&f->reg, &f->blobs[i], bytes_of(f->content, text_n));
        if (blob_draft_begin(&f->drafts[i], &err) != 0)
            fail("writing a blob");
    }
    if (f->bytes == 0)
        qsort(f->blobs, n, sizeof *f->blobs, order_digests);
    if (txn_run(f->reg.kv, put_blobs, f, &err) != 0)
        fail("storing blobs");
}

/* The same text for each tag. */
static struct bytes
write_manifest(struct filling *f)
{
    struct buf b;
    char digest[DIGEST_TEXT_MAX];
    char *text;
    size_t n;

    buf_init(&b, 1u << 20);
    for (size_t i = 0; i <= f->layers; i++) {
        digest_text(digest, &f->blobs[i]);
        buf_putf(&b,
                 i == 0 ? "{\"schemaVersion\":2,\"mediaType\":\"" IMAGE
                          "\",\"config\":{\"mediaType\":\"a/config\",\"digest\":\"%s\","
                          "\"size\":4096},\"layers\":["
                 : i == 1 ? "{\"mediaType\":\"a/layer\",\"digest\":\"%s\",\"size\":4096}"
                          : ",{\"mediaType\":\"a/layer\",\"digest\":\"%s\",\"size\":4096}",
                 digest);
    }
    buf_putf(&b, "]}");
    n = buf_bytes(&b).n;
    text = arena_alloc(&f->arena, n);
    if (!buf_ok(&b) || text == NULL)
        fail("a manifest");
    memcpy(text, buf_bytes(&b).p, n);
    buf_free(&b);
    return bytes_of(text, n);
}

static void
push_image(struct filling *f, uint64_t image)
{
    struct bytes document;

    store_blobs(f, image);
    document = write_manifest(f);
    for (uint64_t done = 0; done < f->tags || done == 0; done += PUSH_TAGS_MAX) {
        char names[PUSH_TAGS_MAX][48];
        const char *tags[PUSH_TAGS_MAX];
        struct push p = {.repository = f->repository,
                         .tags = tags,
                         .document = document,
                         .content_type = IMAGE,
                         .actor = &nobody};

        for (; p.tags_n < PUSH_TAGS_MAX && done + p.tags_n < f->tags; p.tags_n++) {
            snprintf(names[p.tags_n], sizeof names[0], "v%07" PRIu64 "-%07" PRIu64, image,
                     done + p.tags_n);
            tags[p.tags_n] = names[p.tags_n];
        }
        if (push_manifest(&f->reg, &p, &f->arena, &err) != 0)
            fail("a push");
    }
    arena_reset(&f->arena);
}

static void
save(struct filling *f, uint64_t done)
{
    if (kv_checkpoint(f->reg.kv, LOG_KBYTES, 0, &err) != 0 || kv_trim_logs(f->reg.kv, &err) != 0)
        fail("a checkpoint");
    fprintf(stderr, "\r%" PRIu64 " images", done);
}

static void
fill(struct filling *f)
{
    uint64_t done = 0;

    for (uint64_t r = 0; r < f->repositories; r++) {
        snprintf(f->repository, sizeof f->repository, "%.40s/%06" PRIu64, f->names, r);
        for (uint64_t i = 0; i < f->images; i++) {
            push_image(f, i);
            if (++done % CHECKPOINT_EACH == 0)
                save(f, done);
        }
    }
    save(f, done);
    fprintf(stderr, "\n");
}

static void
take_argument(struct filling *f, const char *text)
{
    const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {{"repositories=", &f->repositories},
                   {"images=", &f->images},
                   {"tags=", &f->tags},
                   {"layers=", &f->layers},
                   {"bytes=", &f->bytes}};

    if (strncmp(text, "names=", 6) == 0) {
        f->names = text + 6;
        return;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        size_t n = strlen(numbers[i].name);

        if (strncmp(text, numbers[i].name, n) == 0 &&
            parse_u64(text + n, strlen(text + n), numbers[i].value))
            return;
    }
    err_set(&err, ERR_BAD_REQUEST, "see tests/bench/fill.c");
    fail(text);
}

/* What is written belongs to the user of the registry. */
static void
enter_directory(const char *dir)
{
    struct stat st;

    if (chdir(dir) != 0 || stat("db", &st) != 0) {
        err_errno(&err, "%s is no data directory", dir);
        fail(dir);
    }
    if (geteuid() == 0 && (setgid(st.st_gid) != 0 || setuid(st.st_uid) != 0)) {
        err_errno(&err, "becoming the owner");
        fail(dir);
    }
    umask(0027);
}

int
main(int argc, char **argv)
{
    struct blob_store blobs;
    struct filling f = {.repositories = 1, .images = 1, .tags = 1, .names = "fill"};

    for (int i = 2; i < argc; i++)
        take_argument(&f, argv[i]);
    if (argc < 2 || f.layers > LAYERS_MAX || f.bytes > 1u << 20) {
        fprintf(stderr, "usage: see tests/bench/fill.c\n");
        return 2;
    }
    enter_directory(argv[1]);
    arena_init(&f.arena, 16u << 20);
    f.content = calloc(1, (1u << 20) + 64);
    if (f.content == NULL || kv_recover("db", tables, TABLE_COUNT, &err) != 0)
        fail(argv[1]);
    f.reg = (struct registry){.dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                              .foreign = &image_foreign,
                              .kv = kv_open("db", tables, TABLE_COUNT, NULL, lost, &err)};
    if (f.reg.kv == NULL)
        fail(argv[1]);
    blobs = blob_store_inside(f.reg.dirfd);
    f.reg.blobs = &blobs;
    fill(&f);
    kv_close(f.reg.kv);
    sync();
    return 0;
}
