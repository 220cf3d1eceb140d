#include "process/keeper/index_child.h"
#include <fcntl.h>
#include "process/server/process_title.h"
#include "storage/layers/index_file.h"
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

/* The result that a child writes to its pipe. */
struct answer {
    struct err err; /* ERR_NONE: the index is written */
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

static void
make_index(void *arg, void *to)
{
    struct index_child *c = arg;
    struct answer *a = to;
    struct layer_info info;
    char hex[DIGEST_TEXT_MAX];
    digest_hex(hex, &c->digest);
    process_title_set("index %.12s", hex);
    a->err.code = ERR_SYSTEM; /* whatever happens */
    /* Reading the layer must not drive blobs that are being pulled out of the page cache. */
    posix_fadvise(c->layer, 0, 0, POSIX_FADV_SEQUENTIAL);
    posix_fadvise(c->layer, 0, 0, POSIX_FADV_NOREUSE);
    if (layer_scan(c->layer, &c->digest, c->out, &c->limits, &info, &a->err) < 0 ||
        fdio_fsync(c->out, "an index", &a->err) < 0)
        return;
    a->err.code = ERR_NONE;
}

/* ---- its beginning ---- */

int
index_child_start(struct index_child *c, const struct registry *reg,
                  const struct index_child_bounds *b, const struct digest *digest, uint64_t size,
                  int layer, struct err *err)
{
    struct confined_limits limits = b->child;
    int rc = -1;
    *c = (struct index_child){
        .digest = *digest, .size = size, .layer = layer, .out = -1, .limits = b->scan};
    c->process.ended = -1;
    limits.file = INDEX_BYTES(size);
    if (limits.seconds > INDEX_SECONDS(size))
        limits.seconds = (unsigned)INDEX_SECONDS(size);
    c->seconds = limits.seconds;
    if (disk_space_check(reg->dirfd, INDEX_ROOM(size), err) < 0) {
        err_set(err, ERR_NO_SPACE, "there is no room on the disk for the index of a layer");
    } else if ((c->out = index_file_create(reg->dirfd, err)) >= 0) {
        const int fds[] = {c->layer, c->out};
        rc =
            confined_start(&c->process, make_index, c, fds, 2, &limits, sizeof(struct answer), err);
    }
    if (rc < 0)
        index_child_stop(c);
    return rc;
}

/* ---- its end ---- */

int
index_child_give_up(const struct index_child *c, const struct registry *reg, const char *why,
                    struct err *err)
{
    struct layer_info info = {.layer = c->digest, .layer_size = c->size, .size = c->size};
    char hex[DIGEST_TEXT_MAX];
    digest_hex(hex, &c->digest);
    snprintf(info.remark, sizeof info.remark, "%s", why);
    log_client_line(LOG_INFO, CANT_LOOK, "layer=%s why=%s", hex, why);
    return index_file_refuse(reg->dirfd, &info, err);
}

/* Ends the child with a fault of the layer: it needed more than its share of something, or can't be
 * indexed for another reason. */
static int
blame_layer(const struct index_child *c, const struct registry *reg,
            const struct index_child_bounds *b, enum confined_end how, const char *why,
            struct err *err)
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
    return index_child_give_up(c, reg, text, err);
}

/* Reads the child's result, which is trusted no more than the layer. */
static int
read_child_failure(const struct index_child *c, const struct registry *reg,
                   enum index_child_end *end, char why[ERR_MESSAGE_MAX], struct err *err)
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
    return index_child_give_up(c, reg, text, err);
}

/* Gives the index its name, after checking that it can be read. Otherwise it would be made again
 * and again. */
static int
publish_index(const struct index_child *c, const struct registry *reg, enum index_child_end *end,
              char why[ERR_MESSAGE_MAX], struct err *err)
{
    struct layer_info info;
    char hex[DIGEST_TEXT_MAX];
    int rc;

    if (index_file_publish(reg->dirfd, c->out, &c->digest, err) < 0)
        return -1;
    rc = index_file_info(reg->dirfd, &c->digest, &info, err);
    digest_hex(hex, &c->digest);
    if (rc == 1 && !info.browsable)
        log_client_line(LOG_INFO, CANT_LOOK, "layer=%s why=%s", hex, info.remark);
    if (rc == 0) {
        snprintf(why, ERR_MESSAGE_MAX, "its index can't be read");
        *end = INDEX_CHILD_KILLED;
    }
    return rc < 0 ? -1 : 0;
}

int
index_child_ended(struct index_child *c, const struct registry *reg,
                  const struct index_child_bounds *b, enum index_child_end *end,
                  char why[ERR_MESSAGE_MAX], struct err *err)
{
    enum confined_end how;
    char died[CONFINED_WHY_MAX];
    *end = INDEX_CHILD_RUNS;
    if (confined_ended(&c->process, &how, died) == 0)
        return 0;
    *end = INDEX_CHILD_DONE;
    switch (how) {
    case CONFINED_KILLED:
        *end = INDEX_CHILD_KILLED;
        snprintf(why, ERR_MESSAGE_MAX, "%s", died);
        return 0;
    case CONFINED_SLOW:
    case CONFINED_LARGE:
    case CONFINED_GREEDY:
    case CONFINED_DIED:
        return blame_layer(c, reg, b, how, died, err);
    case CONFINED_DONE:
        break;
    }
    return ((const struct answer *)c->process.answer)->err.code == ERR_NONE
               ? publish_index(c, reg, end, why, err)
               : read_child_failure(c, reg, end, why, err);
}

void
index_child_stop(struct index_child *c)
{
    confined_stop(&c->process);
    fdio_close(c->layer);
    fdio_close(c->out);
    c->layer = c->out = -1;
}
