#include "process/keeper/index_child.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include "domain/core/index_place.h"
#include "process/server/process_title.h"
#include "storage/layers/index_file.h"
#include "storage/layers/tar_scan.h"
#include "storage/files/disk_space.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/utf8.h"

/* An index has about 1 % of the layer's size plus some bytes for each name, but a layer can be made
 * so that it has more. Beyond this it is refused. */
#define INDEX_BYTES(layer_size) ((UINT64_C(64) << 20) + (layer_size) / 8)
#define INDEX_ROOM(layer_size) ((UINT64_C(1) << 20) + (layer_size) / 32)
/* Processor time: a small layer must not cost more than an honest one on a slow machine. */
#define INDEX_SECONDS(layer_size) (UINT64_C(10) + ((layer_size) >> 20))
#define SECONDS_MAX 1000000000u

#define CANT_LOOK "a layer can't be looked into"

/* A child writes this about a layer, in memory that the keeper reads. Zeros: it has not begun. */
enum stage { STAGE_LEFT, STAGE_BEGUN, STAGE_WRITTEN, STAGE_FAILED };
struct answer {
    _Atomic bool recalled; /* written by the keeper: begin no other layer */
    _Atomic uint8_t stage[INDEX_CHILD_LAYERS_MAX];
    struct err err; /* of the last layer that failed; the child ends with it */
};

void
index_child_bounds_of(struct index_child_bounds *b, const struct options *o)
{
    uint64_t seconds = (o->index_time_ms + 999) / 1000;
    *b = (struct index_child_bounds){.scan = layer_scan_defaults};
    b->scan.tree.entries = o->index_max_entries;
    b->scan.tree.depth = (unsigned)o->index_max_depth;
    b->scan.output = o->index_max_output;
    b->scan.ratio = o->index_max_ratio;
    if (b->scan.memory > o->index_memory / 4)
        b->scan.memory = o->index_memory / 4;
    b->child = (struct confined_limits){
        .memory = o->index_memory,
        .seconds = (unsigned)(seconds < SECONDS_MAX ? seconds : SECONDS_MAX),
        .background = true};
    snprintf(b->memory_text, sizeof b->memory_text, "%llu MiB",
             (unsigned long long)(o->index_memory >> 20));
}

/* ---- in the child ---- */

/* That a layer can't be fetched now, or its index not be sent, says nothing about the layer. */
static int
blame_machine(struct err *err)
{
    if (err->sys == 0)
        err->sys = EIO;
    return -1;
}

static int
make_index(const struct index_child *c, const struct index_child_layer *l, struct err *err)
{
    struct layer_info info;
    char hex[DIGEST_TEXT_MAX];

    digest_hex(hex, &l->digest);
    process_title_set("index %.12s", hex);
    /* Reading the layer must not drive blobs that are being pulled out of the page cache. */
    if (l->blob.is_absent && blob_remote_fetch(c->blobs, &l->digest, &l->blob, err) != 0)
        return blame_machine(err);
    if (l->blob.size > INDEX_CHILD_SMALL) {
        posix_fadvise(l->blob.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        posix_fadvise(l->blob.fd, 0, 0, POSIX_FADV_NOREUSE);
    }
    if (layer_scan(l->blob.fd, &l->digest, l->out, &c->limits, &info, err) < 0)
        return -1;
    return index_store_send(c->store, l->out, &l->digest, err) == 0 ? 0 : blame_machine(err);
}

/* Ends with the first layer that can't be read: the machine may be to blame, and the keeper knows
 * what to do about the others. */
static void
make_indexes(void *arg, void *to)
{
    const struct index_child *c = arg;
    struct answer *a = to;

    if (blob_remote_is(c->blobs))
        blob_remote_begin_child(c->blobs);
    for (size_t i = 0; i < c->n && (i == 0 || !a->recalled); i++) {
        a->stage[i] = STAGE_BEGUN;
        if (make_index(c, &c->layers[i], &a->err) < 0) {
            a->stage[i] = STAGE_FAILED;
            return;
        }
        a->stage[i] = STAGE_WRITTEN;
    }
}

/* ---- its beginning ---- */

void
index_child_init(struct index_child *c)
{
    c->n = 0;
    c->bytes = 0;
    c->process = (struct confined){.ended = -1};
}

bool
index_child_has_room(const struct index_child *c, uint64_t size)
{
    if (c->n == 0)
        return true;
    return c->n < INDEX_CHILD_LAYERS_MAX && size <= INDEX_CHILD_SMALL &&
           c->layers[0].blob.size <= INDEX_CHILD_SMALL && c->bytes + size <= INDEX_CHILD_BYTES_MAX;
}

int
index_child_add(struct index_child *c, const struct registry *reg, const struct digest *digest,
                const struct blob_late *blob, struct err *err)
{
    struct index_child_layer *l = &c->layers[c->n];

    *l = (struct index_child_layer){.digest = *digest, .blob = *blob};
    l->out = index_file_create(reg->dirfd, err);
    if (l->out < 0) {
        fdio_close(blob->fd);
        return -1;
    }
    c->n++;
    c->bytes += blob->size;
    return 0;
}

int
index_child_start(struct index_child *c, const struct registry *reg,
                  const struct index_child_bounds *b, struct err *err)
{
    struct confined_limits limits = b->child;
    int fds[2 * INDEX_CHILD_LAYERS_MAX];
    uint64_t largest = 0, fetched = 0;

    for (size_t i = 0; i < c->n; i++) {
        fds[2 * i] = c->layers[i].blob.fd;
        fds[2 * i + 1] = c->layers[i].out;
        if (c->layers[i].blob.size > largest)
            largest = c->layers[i].blob.size;
        if (c->layers[i].blob.is_absent)
            fetched += c->layers[i].blob.size;
    }
    c->limits = b->scan;
    c->blobs = reg->blobs;
    c->store = index_place(reg);
    limits.file = INDEX_BYTES(largest);
    if (fetched > 0 && limits.file < largest)
        limits.file = largest;
    if (limits.seconds > INDEX_SECONDS(largest))
        limits.seconds = (unsigned)INDEX_SECONDS(largest);
    c->seconds = limits.seconds;
    if (disk_space_check(reg->dirfd, INDEX_ROOM(c->bytes) + fetched, err) < 0)
        return err_set(err, ERR_NO_SPACE, "there is no room on the disk for the index of a layer");
    if (tar_scan_prepare(err) != 0)
        return -1;
    return confined_start(&c->process, make_indexes, c, fds, 2 * c->n, &limits,
                          sizeof(struct answer), err);
}

/* ---- while it runs ---- */

bool
index_child_has(const struct index_child *c, const struct digest *digest)
{
    for (size_t i = 0; i < c->n; i++)
        if (digest_equal(&c->layers[i].digest, digest))
            return true;
    return false;
}

static void
close_layer(struct index_child_layer *l)
{
    fdio_close(l->blob.fd);
    fdio_close(l->out);
    l->blob.fd = l->out = -1;
}

void
index_child_recall(struct index_child *c)
{
    struct answer *a = c->process.answer;
    size_t begun = 0;

    a->recalled = true;
    while (begun < c->n && a->stage[begun] != STAGE_LEFT)
        begun++;
    /* A layer that it begins at this moment is indexed for nothing. The first one stays in any
     * case, so that there is one to blame. */
    while (c->n > 1 && c->n > begun)
        close_layer(&c->layers[--c->n]);
}

/* ---- its end ---- */

bool
index_child_ended(struct index_child *c, enum confined_end *how, char why[CONFINED_WHY_MAX])
{
    return confined_ended(&c->process, how, why) != 0;
}

int
index_child_give_up(const struct index_child_layer *l, const struct registry *reg, const char *why,
                    struct err *err)
{
    struct layer_info info = {.layer = l->digest, .layer_size = l->blob.size, .size = l->blob.size};
    char hex[DIGEST_TEXT_MAX];
    digest_hex(hex, &l->digest);
    snprintf(info.remark, sizeof info.remark, "%s", why);
    log_client_line(LOG_INFO, CANT_LOOK, "layer=%s why=%s", hex, why);
    return index_store_refuse(index_place(reg), &info, err);
}

/* The layer needed more than its share of something, or can't be indexed for another reason. */
static int
blame_layer(const struct index_child *c, const struct index_child_layer *l,
            const struct registry *reg, const struct index_child_bounds *b, enum confined_end how,
            const char *why, struct err *err)
{
    char text[LAYER_INDEX_TEXT_MAX];

    if (how == CONFINED_SLOW)
        snprintf(text, sizeof text, "indexing it takes more than %u s of the processor's time",
                 c->seconds);
    else if (how == CONFINED_LARGE)
        snprintf(text, sizeof text, "its index would be too large");
    else if (how == CONFINED_GREEDY)
        snprintf(text, sizeof text, "indexing it takes more than %s of memory", b->memory_text);
    else
        snprintf(text, sizeof text, "indexing it failed: %s", why);
    return index_child_give_up(l, reg, text, err);
}

/* Reads the child's result, which is trusted no more than the layer. */
static int
read_child_failure(const struct index_child *c, const struct index_child_layer *l,
                   const struct registry *reg, enum index_child_end *end, char why[ERR_MESSAGE_MAX],
                   struct err *err)
{
    struct err said;
    char text[LAYER_INDEX_TEXT_MAX];
    memcpy(&said, &((const struct answer *)c->process.answer)->err, sizeof said);
    snprintf(why, ERR_MESSAGE_MAX, "%.*s", (int)sizeof said.message - 1, said.message);
    utf8_keep_ascii(why);
    if (said.code == ERR_NO_SPACE)
        return err_set(err, ERR_NO_SPACE, "an index can't be written: %s", why);
    if (said.sys != 0) {
        *end = INDEX_CHILD_FAILED;
        return 0;
    }
    snprintf(text, sizeof text, "indexing it failed: %.200s", why);
    return index_child_give_up(l, reg, text, err);
}

/* Gives the index its name, after checking that it can be read. Otherwise it would be made again
 * and again. */
static int
publish_index(const struct index_child_layer *l, const struct registry *reg,
              enum index_child_end *end, char why[ERR_MESSAGE_MAX], struct err *err)
{
    struct layer_info info;
    char hex[DIGEST_TEXT_MAX];
    int rc = index_file_info_of(l->out, &l->digest, &info, err);

    if (rc == 1)
        rc = index_store_publish(index_place(reg), l->out, &l->digest, err) == 0 ? 1 : -1;
    else if (rc == 0 && index_store_remove(index_place(reg), &l->digest, err) != 0)
        rc = -1;
    digest_hex(hex, &l->digest);
    if (rc == 1 && !info.browsable)
        log_client_line(LOG_INFO, CANT_LOOK, "layer=%s why=%s", hex, info.remark);
    if (rc == 0) {
        snprintf(why, ERR_MESSAGE_MAX, "its index can't be read");
        *end = INDEX_CHILD_KILLED;
    }
    return rc < 0 ? -1 : 0;
}

/* The layer that the child was at when it died. */
static int
take_begun(const struct index_child *c, size_t i, const struct registry *reg,
           const struct index_child_bounds *b, enum confined_end how, const char *died,
           enum index_child_end *end, char why[ERR_MESSAGE_MAX], struct err *err)
{
    if (how == CONFINED_KILLED || how == CONFINED_DONE) {
        *end = INDEX_CHILD_KILLED;
        snprintf(why, ERR_MESSAGE_MAX, "%s",
                 how == CONFINED_DONE ? "the process ended without a result" : died);
        return 0;
    }
    if (i > 0) {
        *end = INDEX_CHILD_ALONE;
        return 0;
    }
    return blame_layer(c, &c->layers[i], reg, b, how, died, err);
}

int
index_child_take(struct index_child *c, size_t i, const struct registry *reg,
                 const struct index_child_bounds *b, enum confined_end how, const char *died,
                 enum index_child_end *end, char why[ERR_MESSAGE_MAX], struct err *err)
{
    const struct answer *a = c->process.answer;

    *end = INDEX_CHILD_DONE;
    switch (atomic_load(&a->stage[i])) {
    case STAGE_WRITTEN:
        return publish_index(&c->layers[i], reg, end, why, err);
    case STAGE_FAILED:
        return read_child_failure(c, &c->layers[i], reg, end, why, err);
    case STAGE_LEFT:
        if (i > 0) {
            *end = INDEX_CHILD_LEFT;
            return 0;
        }
        break; /* it did nothing at all */
    default:
        break;
    }
    return take_begun(c, i, reg, b, how, died, end, why, err);
}

int
index_child_retry(struct index_child *alone, struct index_child *c, size_t i,
                  const struct registry *reg, const struct index_child_bounds *b, struct err *err)
{
    struct index_child_layer *l = &c->layers[i];
    struct blob_late blob = l->blob;

    index_child_init(alone);
    l->blob.fd = -1;
    if (index_child_add(alone, reg, &l->digest, &blob, err) < 0)
        return -1;
    return index_child_start(alone, reg, b, err);
}

void
index_child_stop(struct index_child *c)
{
    confined_stop(&c->process);
    while (c->n > 0)
        close_layer(&c->layers[--c->n]);
}
