#include "store_fixture.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "domain/core/blob.h"
#include "domain/core/upload.h"
#include "domain/v1/image_foreign.h"
#include "store_place.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_blob.h"
#include "util/fdio.h"

const struct actor fixture_actor = {.user = "alice", .address = "192.0.2.1"};

#define HOUR_MS (3600ull * 1000)

/* ---- time ----
 * These take the place of the C library's, so that a test need not wait an hour. */

static uint64_t ahead_ms;
static struct timespec stopped_at, stopped_mono; /* tv_sec 0: they run */

void
fixture_forward_ms(uint64_t ms)
{
    ahead_ms += ms;
}

void
fixture_stop_clock(bool stop)
{
    stopped_at.tv_sec = stopped_mono.tv_sec = 0;
    if (!stop)
        return;
    (void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &stopped_at);
    (void)syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &stopped_mono);
}

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, ts);

    if (rc == 0 && clock == CLOCK_MONOTONIC && stopped_mono.tv_sec != 0)
        *ts = stopped_mono;
    if (rc == 0 && clock == CLOCK_REALTIME) {
        if (stopped_at.tv_sec != 0)
            *ts = stopped_at;
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

/* ---- setting up ---- */

int
fixture_files(void **state)
{
    static const char *const directories[] = {
        "layers", "uploads", "uploads/body", "uploads/body/0", "uploads/body/0/00", "auth", "run",
    };
    const char *tmp = getenv("TMPDIR");
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL)
        return -1;
    *state = f;
    ahead_ms = 0;
    arena_init(&f->arena, 16u << 20);
    snprintf(f->home, sizeof f->home, "%s/test_store.XXXXXX", tmp == NULL ? "/tmp" : tmp);
    if (mkdtemp(f->home) == NULL || chdir(f->home) != 0)
        return -1;
    for (size_t i = 0; i < sizeof directories / sizeof directories[0]; i++)
        if (mkdir(directories[i], 0700) != 0)
            return -1;
    f->reg = (struct registry){
        .dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        .foreign = &image_foreign,
        .lease_ms = HOUR_MS,
        .upload_expiry_ms = HOUR_MS,
        .gc_interval_ms = 1000,
        .file_grace_ms = 60000,
        .event_keep_ms = HOUR_MS,
    };
    f->blobs = blob_store_inside(f->reg.dirfd);
    f->reg.blobs = &f->blobs;
    return f->reg.dirfd >= 0 ? blob_file_prepare(f->reg.blobs, &f->err) : -1;
}

int
fixture_tokens(void **state)
{
    struct fixture *f;

    if (fixture_files(state) != 0)
        return -1;
    f = *state;
    for (size_t i = 0; i < sizeof f->keys.now.bytes; i++)
        f->keys.now.bytes[i] = (uint8_t)i;
    f->reg.token_keys = &f->keys;
    return 0;
}

static void
lost(const char *why)
{
    fprintf(stderr, "the store is lost: %s\n", why);
    _exit(70);
}

int
fixture_store(void **state)
{
    struct fixture *f;

    if (fixture_files(state) != 0)
        return -1;
    f = *state;
    if (store_place_clear(&f->err) != 0 ||
        kv_recover(store_place(), tables, TABLE_COUNT, &f->err) != 0)
        return -1;
    f->reg.kv = kv_open(store_place(), tables, TABLE_COUNT, NULL, lost, &f->err);
    return f->reg.kv != NULL ? 0 : -1;
}

int
fixture_done(void **state)
{
    struct fixture *f = *state;
    int rc;

    kv_close(f->reg.kv);
    fdio_close(f->reg.dirfd);
    arena_reset(&f->arena);
    rc = chdir("/") != 0 || fdio_remove_tree(AT_FDCWD, f->home, &f->err) != 0 ? -1 : 0;
    free(f);
    return rc;
}

void
fixture_run(struct fixture *f, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg)
{
    OK(f, txn_run(f->reg.kv, fn, arg, &f->err));
}

/* ---- files ---- */

const char *
fixture_body(struct fixture *f, struct bytes content)
{
    int fd;

    snprintf(f->body, sizeof f->body, "%s/uploads/body/0/00/%010u", f->home, ++f->bodies);
    fd = open(f->body, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    OK(f, fdio_write_all(fd, content.p, content.n, f->body, &f->err));
    fdio_close(fd);
    return f->body;
}

int
fixture_entries(struct fixture *f, const char *directory)
{
    char path[300];
    int n = 0;

    snprintf(path, sizeof path, "%s/%s", f->home, directory);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return -1;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(dir);
    return n;
}

static int
count_file(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg, struct err *err)
{
    (void)d;
    (void)instance;
    (void)age_s;
    (void)err;
    ++*(int *)arg;
    return 0;
}

int
fixture_layer_files(struct fixture *f)
{
    int n = 0;

    for (unsigned i = 0; i < DIGEST_DIRECTORIES; i++)
        OK(f, blob_file_each(f->reg.blobs, i, count_file, &n, &f->err));
    return n;
}

struct buf
fixture_read(struct fixture *f, const char *name)
{
    struct buf b;

    buf_init(&b, 16u << 20);
    assert_int_equal(fdio_read_file(f->reg.dirfd, name, &b, &f->err), 1);
    return b;
}

struct digest
fixture_digest(const char *text)
{
    struct digest d;

    digest_of(&d, DIGEST_SHA256, bytes_str(text));
    return d;
}

char *
fixture_bytes(size_t n, unsigned seed)
{
    char *p = malloc(n + 1);
    uint64_t x = seed;

    assert_non_null(p);
    for (size_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        p[i] = (char)(x >> 56);
    }
    p[n] = '\0';
    return p;
}

/* ---- blobs ---- */

struct digest
fixture_blob(struct fixture *f, const char *repository, const char *text)
{
    struct actor anybody = {.user = "", .address = "192.0.2.1"};
    struct digest d = fixture_digest(text);
    struct upload_chunk chunk = {.body_file = "", .size = strlen(text)};
    struct upload u;

    if (chunk.size > 0)
        chunk.body_file = fixture_body(f, bytes_str(text));
    OK(f, upload_begin(&f->reg, repository, &anybody, &u, &f->err));
    OK(f, upload_finish(&f->reg, &u, &chunk, &d, &f->err));
    if (chunk.size > 0)
        assert_int_equal(unlink(chunk.body_file), 0); /* as nginx does at the end */
    return d;
}

bool
fixture_has_blob(struct fixture *f, const char *repository, const struct digest *d)
{
    struct blob b;
    int rc = blob_find(&f->reg, repository, d, false, &b, &f->err);

    assert_in_range(rc, 0, 1);
    return rc == 1;
}

int
fixture_blob_record(struct fixture *f, const struct digest *d, struct rec_blob *r)
{
    int rc = tbl_blob_get(kv_reads(f->reg.kv), d, r, &f->err);

    assert_in_range(rc, 0, 1);
    return rc;
}

/* ---- manifests ---- */

const char *
fixture_image(struct fixture *f, const struct digest *config, const struct digest *layer,
              const char *more)
{
    char one[DIGEST_TEXT_MAX], two[DIGEST_TEXT_MAX];
    const char *text;

    digest_text(one, config);
    digest_text(two, layer);
    text = arena_printf(&f->arena,
                        "{\"schemaVersion\":2,\"mediaType\":\"" OCI_IMAGE "\","
                        "\"config\":{\"mediaType\":\"a/config\",\"digest\":\"%s\",\"size\":1},"
                        "\"layers\":[{\"mediaType\":\"a/layer\",\"digest\":\"%s\",\"size\":1}]%s}",
                        one, two, more);
    assert_non_null(text);
    return text;
}

const char *
fixture_index(struct fixture *f, const struct digest *child)
{
    char one[DIGEST_TEXT_MAX];
    const char *text;

    digest_text(one, child);
    text = arena_printf(&f->arena,
                        "{\"schemaVersion\":2,\"manifests\":["
                        "{\"mediaType\":\"" OCI_IMAGE "\",\"digest\":\"%s\",\"size\":1}]}",
                        one);
    assert_non_null(text);
    return text;
}

void
fixture_rules(struct fixture *f, const char *rules, const char *groups, const char *users)
{
    struct access_sources s = {.has_rules = rules != NULL,
                               .rules = bytes_str(rules != NULL ? rules : ""),
                               .groups = bytes_str(groups != NULL ? groups : ""),
                               .users = bytes_str(users != NULL ? users : ""),
                               .rules_name = "auth/access"};

    OK(f, access_file_write(f->reg.dirfd, &s, &f->err));
    f->reg.access = &f->access;
    access_look(&f->reg);
}

void
fixture_users(struct fixture *f, const char *users)
{
    fixture_rules(f, NULL, NULL, users);
}

int
fixture_push(struct fixture *f, const char *repository, const char *tag, const char *document,
             const char *content_type, struct push *p)
{
    const char *tags[] = {tag};
    int rc;

    *p = (struct push){
        .repository = repository,
        .tags = tags,
        .tags_n = tag != NULL ? 1 : 0,
        .document = bytes_str(document),
        .content_type = content_type,
        .actor = &fixture_actor,
    };
    if (tag == NULL)
        p->digest = fixture_digest(document);
    rc = push_manifest(&f->reg, p, &f->arena, &f->err);
    p->tags = NULL;
    return rc;
}

static int
count_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    (void)j;
    (void)r;
    (void)err;
    ++*(int *)arg;
    return 0;
}

int
fixture_jobs(struct fixture *f, enum job_kind kind)
{
    int n = 0;

    OK(f, tbl_job_each(kv_reads(f->reg.kv), kind, count_job, &n, &f->err));
    return n;
}
