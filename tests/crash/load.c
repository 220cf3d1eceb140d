#include "load.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "domain/core/blob.h"
#include "domain/core/delete.h"
#include "domain/core/garbage.h"
#include "domain/core/push.h"
#include "domain/core/repository.h"
#include "domain/core/store.h"
#include "domain/core/upload.h"
#include "domain/core/upload_expiry.h"
#include "domain/events/event.h"
#include "domain/v1/image_foreign.h"
#include "storage/files/blob_file.h"
#include "storage/files/upload_dir.h"
#include "storage/kv/kv.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tables.h"
#include "util/fdio.h"
#include "util/mem.h"

#define HOUR_MS (3600ull * 1000)
#define MEMORY (16u << 20)

static const struct actor loader = {.user = "alice", .address = "192.0.2.1"};

/* ---- time: these take the place of the C library's ---- */

static uint64_t ahead_ms;

void
load_forward_ms(uint64_t ms)
{
    ahead_ms += ms;
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, ts);

    if (rc == 0 && clock == CLOCK_REALTIME) {
        ts->tv_sec += (time_t)(ahead_ms / 1000);
        ts->tv_nsec += (long)(ahead_ms % 1000) * 1000000;
        if (ts->tv_nsec >= 1000000000) {
            ts->tv_sec++;
            ts->tv_nsec -= 1000000000;
        }
    }
    return rc;
}

time_t
time(time_t *out)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    if (out != NULL)
        *out = ts.tv_sec;
    return ts.tv_sec;
}

/* ---- chance: the same numbers in each run ---- */

static uint64_t chance;

ssize_t
getrandom(void *p, size_t n, unsigned flags)
{
    unsigned char *to = p;

    (void)flags;
    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)(load_mix(chance++, 77) >> 24);
    return (ssize_t)n;
}

/* ---- the script ---- */

uint64_t
load_mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9e3779b97f4a7c15u + b + 0x632be59bd9b4e019u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct load_step
load_step_of(uint64_t seed, unsigned i)
{
    static const unsigned weights[LOAD_KINDS] = {
        [LOAD_PUSH] = 30,      [LOAD_TAG_GOES] = 8,  [LOAD_IMAGE_GOES] = 8, [LOAD_BLOB] = 12,
        [LOAD_MOUNT] = 6,      [LOAD_BLOB_GOES] = 4, [LOAD_HALF] = 4,       [LOAD_GARBAGE] = 8,
        [LOAD_CHECKPOINT] = 8, [LOAD_UPKEEP] = 6};
    uint64_t x = load_mix(seed, i);
    unsigned at = (unsigned)(x % 94), kind = 0;

    while (at >= weights[kind])
        at -= weights[kind++];
    x = load_mix(x, 1);
    return (struct load_step){.kind = (enum load_kind)kind,
                              .repository = (unsigned)(x % LOAD_REPOSITORIES),
                              .tag = (unsigned)(x >> 8) % LOAD_TAGS,
                              .image = (unsigned)(x >> 16) % LOAD_IMAGES,
                              .blob = (unsigned)(x >> 24) % LOAD_LOOSE,
                              .piece = (unsigned)(x >> 32) % 1000};
}

const char *
load_repository(unsigned i)
{
    static const char *const names[LOAD_REPOSITORIES] = {"a/one", "a/two", "three"};

    return names[i];
}

const char *
load_tag(unsigned i)
{
    static const char *const names[LOAD_TAGS] = {"latest", "v1", "v2", "v3"};

    return names[i];
}

static char *
make_bytes(size_t n, uint64_t seed, struct digest *d)
{
    char *p = mem_alloc(n + 1);

    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        p[i] = (char)(seed >> 56);
    }
    p[n] = '\0';
    digest_of(d, DIGEST_SHA256, bytes_of(p, n));
    return p;
}

unsigned
load_layers_n(unsigned image)
{
    return 2 + image % 3;
}

/* The first is the config. Neighbours share layers. */
char *
load_layer(unsigned image, unsigned which, size_t *n, struct digest *d)
{
    static const size_t sizes[] = {700, 5000, 12000, 100, 4096, 30000, 9000, 1};
    unsigned id = which == 0 ? 100 + image : image / 2 + which;

    *n = sizes[id % 8];
    return make_bytes(*n, 1000 + id, d);
}

char *
load_loose(unsigned i, size_t *n, struct digest *d)
{
    *n = 300 + 2500 * i;
    return make_bytes(*n, 5000 + i, d);
}

/* Every fourth is larger than what stands in the database. */
char *
load_manifest(unsigned image, size_t *n, struct digest *d)
{
    size_t fill = image % 4 == 3 ? 70000 : 200 * image;
    struct buf b;
    char *text;

    buf_init(&b, 1u << 20);
    buf_putf(&b, "{\"schemaVersion\":2,\"mediaType\":"
                 "\"application/vnd.oci.image.manifest.v1+json\"");
    for (unsigned i = 0; i < load_layers_n(image); i++) {
        char digest[DIGEST_TEXT_MAX];
        struct digest layer;
        size_t size;

        free(load_layer(image, i, &size, &layer));
        digest_text(digest, &layer);
        buf_putf(&b, "%s{\"mediaType\":\"a/%s\",\"digest\":\"%s\",\"size\":%zu}%s",
                 i == 0   ? ",\"config\":"
                 : i == 1 ? ",\"layers\":["
                          : ",",
                 i == 0 ? "config" : "layer", digest, size,
                 i > 0 && i + 1 == load_layers_n(image) ? "]" : "");
    }
    buf_putf(&b, ",\"annotations\":{\"image\":\"%u\",\"fill\":\"", image);
    for (size_t i = 0; i < fill; i++)
        buf_put(&b, "x", 1);
    buf_putf(&b, "\"}}");
    *n = b.n;
    text = mem_copy(b.p, b.n);
    buf_free(&b);
    digest_of(d, DIGEST_SHA256, bytes_of(text, *n));
    return text;
}

/* ---- the store ---- */

static unsigned bodies;

static void
lost(const char *why)
{
    fprintf(stderr, "the store is lost: %s\n", why);
    _exit(70);
}

/* Many small logs instead of one, so that some begin and go. */
static int
make_logs_small(int dirfd, struct err *err)
{
    static const char text[] = "set_lg_bsize 32768\nset_lg_max 140000\n";

    if (fdio_mkdir(dirfd, "db", 0750, err) < 0 ||
        fdio_replace_file(dirfd, "db/DB_CONFIG", 0600, bytes_of(text, sizeof text - 1), err) != 0)
        return -1;
    return fdio_fsync(dirfd, ".", err);
}

static struct blob_store blobs;

int
load_open(struct registry *reg, bool fresh, bool small_logs, struct err *err)
{
    static const char *const directories[] = {
        "layers", "uploads", "uploads/body", "uploads/body/0", "uploads/body/0/00",
        "index",  "run",     "auth",
    };

    if (!fresh)
        bodies = 1000000, chance = UINT64_C(1) << 40; /* other numbers than before the crash */
    *reg = (struct registry){
        .dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        .foreign = &image_foreign,
        .lease_ms = HOUR_MS,
        .upload_expiry_ms = 6 * HOUR_MS,
        .gc_interval_ms = 1000,
        .file_grace_ms = 1,
        .event_keep_ms = HOUR_MS,
    };
    blobs = blob_store_inside(reg->dirfd);
    reg->blobs = &blobs;
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        if (fdio_mkdir(reg->dirfd, directories[i], 0700, err) < 0)
            return -1;
    if (fresh && fdio_fsync(reg->dirfd, ".", err) != 0)
        return -1;
    if (small_logs && make_logs_small(reg->dirfd, err) != 0)
        return -1;
    if (kv_recover("db", tables, TABLE_COUNT, err) != 0 ||
        blob_file_prepare(reg->blobs, err) != 0 || upload_dir_prepare(reg->dirfd, err) != 0)
        return -1;
    reg->kv = kv_open("db", tables, TABLE_COUNT, NULL, lost, err);
    return reg->kv != NULL ? store_begin(reg, err) : -1;
}

void
load_close(struct registry *reg)
{
    kv_close(reg->kv);
    reg->kv = NULL;
    fdio_close(reg->dirfd);
}

/* ---- steps ---- */

static int
write_body(const char *p, size_t n, char name[64], struct err *err)
{
    int fd, rc;

    snprintf(name, 64, "uploads/body/0/00/%010u", ++bodies);
    fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, "make %s", name);
    rc = fdio_write_all(fd, p, n, name, err);
    fdio_close(fd);
    if (rc != 0)
        unlink(name); /* as nginx does at the end */
    return rc;
}

static int
send_piece(const struct registry *reg, struct upload *u, const char *p, size_t n,
           const struct digest *end, struct err *err)
{
    struct upload_chunk chunk = {.body_file = "", .size = n};
    char name[64] = "";
    int rc;

    if (n > 0 && write_body(p, n, name, err) != 0)
        return -1;
    chunk.body_file = name;
    rc = end != NULL ? upload_finish(reg, u, &chunk, end, err) : upload_append(reg, u, &chunk, err);
    if (n > 0)
        unlink(name);
    return rc;
}

/* In one, two or three pieces. */
static int
upload_bytes(const struct registry *reg, const char *repository, const char *p, size_t n,
             const struct digest *d, unsigned piece, struct err *err)
{
    size_t first = n > 10 && piece % 3 > 0 ? n / 3 : 0, second = piece % 3 > 1 ? n / 3 : 0;
    struct upload u;

    if (upload_begin(reg, repository, &loader, &u, err) != 0 ||
        (first > 0 && send_piece(reg, &u, p, first, NULL, err) != 0) ||
        (second > 0 && send_piece(reg, &u, p + first, second, NULL, err) != 0))
        return -1;
    return send_piece(reg, &u, p + first + second, n - first - second, d, err);
}

static int
push_image(const struct registry *reg, const struct load_step *s, struct err *err)
{
    const char *tag = load_tag(s->tag), *repository = load_repository(s->repository);
    struct push p = {.repository = repository,
                     .tags = &tag,
                     .tags_n = 1,
                     .content_type = "application/vnd.oci.image.manifest.v1+json",
                     .actor = &loader};
    struct arena arena;
    struct digest d;
    size_t n;
    char *text;
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < load_layers_n(s->image); i++) {
        text = load_layer(s->image, i, &n, &d);
        rc = upload_bytes(reg, repository, text, n, &d, s->piece + i, err);
        free(text);
    }
    if (rc != 0)
        return -1;
    arena_init(&arena, MEMORY);
    text = load_manifest(s->image, &n, &d);
    p.document = bytes_of(text, n);
    rc = push_manifest(reg, &p, &arena, err);
    free(text);
    arena_reset(&arena);
    return rc;
}

static int
do_blob(const struct registry *reg, const struct load_step *s, struct err *err)
{
    const char *repository = load_repository(s->repository);
    struct digest d;
    struct upload u;
    size_t n;
    char *text = load_loose(s->blob, &n, &d);
    int rc = 0;

    if (s->kind == LOAD_BLOB)
        rc = upload_bytes(reg, repository, text, n, &d, s->piece, err);
    else if (s->kind == LOAD_MOUNT)
        rc = blob_mount(reg, &loader, repository,
                        load_repository((s->repository + 1) % LOAD_REPOSITORIES), &d, err);
    else if (upload_begin(reg, repository, &loader, &u, err) != 0 ||
             send_piece(reg, &u, text, n / 2, NULL, err) != 0)
        rc = -1;
    free(text);
    return rc < 0 ? -1 : 0;
}

static int
do_deletion(const struct registry *reg, const struct load_step *s, struct err *err)
{
    const char *repository = load_repository(s->repository);
    struct arena arena;
    struct digest d;
    size_t n;
    int rc;

    arena_init(&arena, MEMORY);
    if (s->kind == LOAD_TAG_GOES) {
        rc = delete_tag(reg, repository, load_tag(s->tag), NULL, &loader, &arena, err);
    } else if (s->kind == LOAD_IMAGE_GOES) {
        free(load_manifest(s->image, &n, &d));
        rc = delete_manifest(reg, repository, &d, NULL, &loader, &arena, err);
    } else {
        free(load_loose(s->blob, &n, &d));
        rc = blob_delete(reg, repository, &d, NULL, &loader, &arena, err);
    }
    arena_reset(&arena);
    return rc != 0 && (err->code == ERR_NO_REPOSITORY || err->code == ERR_NO_MANIFEST ||
                       err->code == ERR_NO_BLOB)
               ? 0
               : rc;
}

int
load_collect(const struct registry *reg, struct err *err)
{
    int rc;

    for (int round = 0; round < 3; round++) {
        load_forward_ms(2 * HOUR_MS);
        do
            rc = garbage_step(reg, err);
        while (rc == 1);
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int
do_upkeep(const struct registry *reg, const struct load_step *s, struct err *err)
{
    unsigned at = s->piece % DIGEST_DIRECTORIES;

    return upload_expiry_run(reg, err) != 0 ||
                   event_trim(reg, reg->event_keep_ms, EVENT_KEPT_MAX, err) < 0 ||
                   garbage_sweep(reg, at, err) != 0
               ? -1
               : 0;
}

int
load_do(const struct registry *reg, const struct load_step *s, struct err *err)
{
    *err = (struct err){0};
    switch (s->kind) {
    case LOAD_PUSH:
        return push_image(reg, s, err);
    case LOAD_TAG_GOES:
    case LOAD_IMAGE_GOES:
    case LOAD_BLOB_GOES:
        return do_deletion(reg, s, err);
    case LOAD_BLOB:
    case LOAD_MOUNT:
    case LOAD_HALF:
        return do_blob(reg, s, err);
    case LOAD_GARBAGE:
        return load_collect(reg, err);
    case LOAD_CHECKPOINT:
        return kv_checkpoint(reg->kv, 0, 0, err) != 0 || kv_trim_logs(reg->kv, err) != 0 ? -1 : 0;
    case LOAD_UPKEEP:
        return do_upkeep(reg, s, err);
    case LOAD_KINDS:
        break;
    }
    return -1;
}
