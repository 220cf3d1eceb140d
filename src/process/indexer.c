#include "process/indexer.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/index_job.h"
#include "process/title.h"
#include "storage/blob_file.h"
#include "storage/index_file.h"
#include "storage/layer_scan.h"
#include "storage/room.h"
#include "storage/tbl_blob.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/confined.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/banned.h"

/* Images and demands that are looked at together, the oldest. */
#define IMAGES_MAX INDEX_JOB_DONE_MAX
#define DEMANDS_MAX 64
#define BATCHES_MAX 16 /* of events, in one step */
#define MARK_EACH_MS 10000
#define ARENA_MAX (16u << 20)

/* An index has about 2 % of the layer's size, and some bytes for each name; a layer can be made so
 * that it has more. */
#define INDEX_BYTES(layer_size) ((UINT64_C(64) << 20) + (layer_size) / 8)
#define INDEX_ROOM(layer_size) ((UINT64_C(1) << 20) + (layer_size) / 32)

/* After trouble with the machine; and with one layer. */
#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS 60000
#define LAYER_PAUSE_MAX_MS 600000
#define KILLS_MAX 3
#define SECONDS_MAX 1000000000u

#define CANT_LOOK "a layer can't be looked into"

/* What a child says of how it went. */
struct answer {
    struct err err; /* ERR_NONE: the index is written */
};

struct task {
    int layer, out;
    struct digest digest;
    uint64_t size;
    struct layer_scan_limits limits;
};

struct running {
    struct task task;
    struct confined child;
};

/* An image, with those of its layers that aren't done as far as we know. */
struct image {
    struct index_job job;
    struct digest id;
    struct digest *layers;
    size_t layers_n;
};

/* A layer with which something went wrong that may go better next time. */
struct sick {
    struct digest layer;
    unsigned tries, kills;
    uint64_t again_ms;
};
#define SICK_MAX 64

struct indexer {
    const struct registry *reg;
    struct layer_scan_limits limits;
    struct confined_limits child;
    char time_text[32], memory_text[32];

    bool begun;
    uint32_t mark, saved; /* events whose images have jobs */
    uint64_t save_at;
    bool fresh; /* there may be more */
    bool look;  /* there may be something to start, or to end */
    bool more;  /* and images that aren't in `images` */

    struct running *running;
    size_t running_n, jobs;
    struct image images[IMAGES_MAX];
    size_t images_n;
    uint64_t next_due_ms; /* of a job, on the wall clock */

    uint64_t pause_until;
    unsigned pauses;
    struct sick sick[SICK_MAX];
    size_t sick_at;
    struct arena arena;
};

/* ---- the child ---- */

static void
make_index(void *arg, void *to)
{
    struct task *t = arg;
    struct answer *a = to;
    struct layer_info info;
    char hex[DIGEST_TEXT_MAX];
    digest_hex(hex, &t->digest);
    title_set("index %.12s", hex);
    a->err.code = ERR_SYSTEM; /* whatever happens */
    /* What others pull shall stay in the cache, rather than this. */
    posix_fadvise(t->layer, 0, 0, POSIX_FADV_SEQUENTIAL);
    posix_fadvise(t->layer, 0, 0, POSIX_FADV_NOREUSE);
    if (layer_scan(t->layer, &t->digest, t->out, &t->limits, &info, &a->err) < 0 ||
        fdio_fsync(t->out, "an index", &a->err) < 0)
        return;
    if (!info.browsable)
        log_line(LOG_INFO, CANT_LOOK, "layer=%s why=%s", hex, info.remark);
    a->err.code = ERR_NONE;
}

/* ---- trouble ---- */

static struct sick *
find_sick(struct indexer *x, const struct digest *layer)
{
    for (size_t i = 0; i < SICK_MAX; i++)
        if (x->sick[i].tries > 0 && digest_equal(&x->sick[i].layer, layer))
            return &x->sick[i];
    return NULL;
}

static uint64_t
grown(unsigned tries, uint64_t max)
{
    uint64_t ms = PAUSE_FIRST_MS;
    for (unsigned i = 1; i < tries && ms < max; i++)
        ms *= 2;
    return ms < max ? ms : max;
}

/* It is passed over for a while, and so are images that have it. */
static struct sick *
note_sick(struct indexer *x, const struct digest *layer, const char *why)
{
    char hex[DIGEST_TEXT_MAX];
    struct sick *s = find_sick(x, layer);
    if (s == NULL) {
        s = &x->sick[x->sick_at];
        x->sick_at = (x->sick_at + 1) % SICK_MAX;
        *s = (struct sick){.layer = *layer};
    }
    s->tries++;
    digest_hex(hex, layer);
    log_line(LOG_WARN, "a layer can't be indexed now", "layer=%s tries=%u why=%s", hex, s->tries,
             why);
    s->again_ms = clock_mono_ms() + grown(s->tries, LAYER_PAUSE_MAX_MS);
    return s;
}

static bool
is_sick(struct indexer *x, const struct digest *layer)
{
    const struct sick *s = find_sick(x, layer);
    return s != NULL && clock_mono_ms() < s->again_ms;
}

/* All stop for a while. */
static void
pause_all(struct indexer *x)
{
    x->pauses++;
    x->pause_until = clock_mono_ms() + grown(x->pauses, PAUSE_MAX_MS);
    x->look = true;
}

/* ---- children that have ended ---- */

static int
refuse(struct indexer *x, const struct task *t, const char *why, struct err *err)
{
    struct layer_info info = {.layer = t->digest, .layer_size = t->size, .size = t->size};
    char hex[DIGEST_TEXT_MAX];
    digest_hex(hex, &t->digest);
    snprintf(info.remark, sizeof info.remark, "%s", why);
    log_line(LOG_INFO, CANT_LOOK, "layer=%s why=%s", hex, why);
    return index_file_refuse(x->reg->dirfd, &info, err);
}

/* It had more than its share of something, or can't be indexed for reasons of its own. */
static int
blame_layer(struct indexer *x, const struct task *t, const char *why, struct err *err)
{
    char text[LAYER_INDEX_TEXT_MAX];
    if (strcmp(why, "it took too long") == 0)
        snprintf(text, sizeof text, "indexing it takes more than %s of the processor's time",
                 x->time_text);
    else if (strcmp(why, "it wrote too much") == 0)
        snprintf(text, sizeof text, "its index would be too large");
    else
        snprintf(text, sizeof text, "indexing it failed: %s", why);
    return refuse(x, t, text, err);
}

/* What the child could still say; it is no more to be trusted than the layer. */
static int
take_failure(struct indexer *x, const struct task *t, const struct err *said, struct err *err)
{
    char why[ERR_MESSAGE_MAX], text[LAYER_INDEX_TEXT_MAX];
    snprintf(why, sizeof why, "%.*s", (int)sizeof said->message - 1, said->message);
    for (char *p = why; *p != '\0'; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
    if (said->code == ERR_NO_SPACE)
        return err_set(err, ERR_NO_SPACE, "an index can't be written: %s", why);
    /* Only its limit takes memory from it. */
    if (said->sys == 0 || said->sys == ENOMEM) {
        snprintf(text, sizeof text, "indexing it takes more than %s of memory (%.160s)",
                 x->memory_text, why);
        return refuse(x, t, text, err);
    }
    note_sick(x, &t->digest, why);
    return 0;
}

static int
take_end(struct indexer *x, struct running *r, enum confined_end end, const char *why,
         struct err *err)
{
    const struct task *t = &r->task;
    struct err said;
    struct sick *s;
    if (end == CONFINED_KILLED && note_sick(x, &t->digest, why)->kills++ < KILLS_MAX)
        return 0;
    if (end != CONFINED_DONE)
        return blame_layer(x, t, why, err);
    memcpy(&said, &((const struct answer *)r->child.answer)->err, sizeof said);
    if (said.code != ERR_NONE)
        return take_failure(x, t, &said, err);
    x->pauses = 0;
    if ((s = find_sick(x, &t->digest)) != NULL)
        s->tries = 0;
    return index_file_publish(x->reg->dirfd, t->out, &t->digest, err);
}

static void
close_task(struct running *r)
{
    confined_stop(&r->child);
    fdio_close(r->task.layer);
    fdio_close(r->task.out);
}

static int
reap(struct indexer *x, struct err *err)
{
    char why[CONFINED_WHY_MAX];
    enum confined_end end;
    int rc = 0;
    for (size_t i = 0; i < x->running_n; i++) {
        struct running *r = &x->running[i];
        if (confined_ended(&r->child, &end, why) == 0)
            continue;
        if (take_end(x, r, end, why, err) < 0)
            rc = -1;
        close_task(r);
        *r = x->running[--x->running_n];
        i--;
        x->look = true;
    }
    return rc;
}

/* ---- starting them ---- */

enum state {
    STATE_DONE,    /* there is an index, or no such layer in the store */
    STATE_COMING,  /* somebody is at it */
    STATE_WAITING, /* for its turn */
    STATE_SICK,    /* it can't be done now */
};

static bool
is_running(const struct indexer *x, const struct digest *layer)
{
    for (size_t i = 0; i < x->running_n; i++)
        if (digest_equal(&x->running[i].task.digest, layer))
            return true;
    return false;
}

static int
start_child(struct indexer *x, struct running *r, struct err *err)
{
    struct task *t = &r->task;
    struct confined_limits limits = x->child;
    limits.file = INDEX_BYTES(t->size);
    if (room_check(x->reg->dirfd, INDEX_ROOM(t->size), err) < 0)
        return err_set(err, ERR_NO_SPACE, "there is no room on the disk for the index of a layer");
    if ((t->out = index_file_create(x->reg->dirfd, err)) < 0)
        return -1;
    const int fds[] = {t->layer, t->out};
    return confined_start(&r->child, make_index, t, fds, 2, &limits, sizeof(struct answer), err);
}

static int
start(struct indexer *x, const struct digest *layer, enum state *state, struct err *err)
{
    struct running *r = &x->running[x->running_n];
    struct rec_blob blob;
    int rc = tbl_blob_get(kv_reads(x->reg->kv), layer, &blob, err);
    if (rc < 0)
        return -1;
    *state = rc == 1 ? STATE_COMING : STATE_DONE;
    if (rc == 0)
        return 0;
    *r = (struct running){.task = {.out = -1, .digest = *layer, .size = blob.size},
                          .child = {.ended = -1}};
    r->task.limits = x->limits;
    r->task.layer = blob_file_open(x->reg->dirfd, layer, blob.instance, err);
    if (r->task.layer < 0) {
        note_sick(x, layer, err->message);
        *state = STATE_SICK;
        return 0;
    }
    if (start_child(x, r, err) < 0) {
        close_task(r);
        *state = STATE_WAITING;
        return -1;
    }
    x->running_n++;
    return 0;
}

/* Is there an index of it already? */
static int
find_index(struct indexer *x, const struct digest *layer, enum state *state, struct err *err)
{
    struct layer_index *index = NULL;
    int rc = index_file_open(x->reg->dirfd, layer, &index, err);
    layer_index_close(index);
    if (rc < 0)
        note_sick(x, layer, err->message);
    *state = rc == 1 ? STATE_DONE : rc < 0 || is_sick(x, layer) ? STATE_SICK : STATE_WAITING;
    return rc < 0 && err->code == ERR_NO_SPACE ? -1 : 0;
}

/* What there is to do about that layer; it is started when there is room for one more. -1: none can
 * be started now. */
static int
tend_layer(struct indexer *x, const struct digest *layer, enum state *state, struct err *err)
{
    *state = layer->algo == DIGEST_NONE ? STATE_DONE : STATE_COMING;
    if (layer->algo == DIGEST_NONE || is_running(x, layer))
        return 0;
    if (find_index(x, layer, state, err) < 0)
        return -1;
    if (*state != STATE_WAITING || x->running_n == x->jobs)
        return 0;
    return start(x, layer, state, err);
}

/* ---- layers that somebody waits for ---- */

static int
tend_demands(struct indexer *x, struct err *err)
{
    struct index_job v[DEMANDS_MAX];
    uint64_t ignored;
    enum state state;
    size_t n;
    if (index_job_list(x->reg, JOB_INDEX, v, DEMANDS_MAX, &n, &ignored, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int rc = tend_layer(x, &v[i].job.digest, &state, err);
        /* Who still wants a sick one says so again. */
        if ((state == STATE_DONE || state == STATE_SICK) && index_job_drop(x->reg, &v[i], err) < 0)
            return -1;
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* ---- images ---- */

static void
forget_image(struct indexer *x, size_t i)
{
    free(x->images[i].layers);
    x->images[i] = x->images[--x->images_n];
}

static bool
is_known(const struct indexer *x, const struct job *j)
{
    for (size_t i = 0; i < x->images_n; i++) {
        const struct job *k = &x->images[i].job.job;
        if (k->due == j->due && digest_equal(&k->digest, &j->digest))
            return true;
    }
    return false;
}

static int
postpone(struct indexer *x, const struct index_job *j, struct err *err)
{
    uint64_t pause = grown(j->record.tries + 1, LAYER_PAUSE_MAX_MS);
    return index_job_postpone(x->reg, j, clock_wall_ms() + pause, err);
}

/* Asks which layers it has. An image that is gone, or isn't whole, is none of ours (now). */
static int
add_image(struct indexer *x, const struct index_job *j, struct err *err)
{
    struct image *image = &x->images[x->images_n];
    struct index_job_image found;
    arena_reset(&x->arena);
    int rc = index_job_image(x->reg, j, &x->arena, &found, err);
    if (rc < 0)
        return err->code == ERR_NO_IMAGE ? postpone(x, j, err) : -1;
    if (rc == 0)
        return index_job_drop(x->reg, j, err);
    *image = (struct image){.job = *j, .id = found.id, .layers_n = found.layers_n};
    image->layers = calloc(found.layers_n + 1, sizeof *image->layers);
    if (image->layers == NULL)
        return err_errno(err, "no memory for the layers of an image");
    if (found.layers_n > 0)
        memcpy(image->layers, found.layers, found.layers_n * sizeof *found.layers);
    x->images_n++;
    return 0;
}

static int
add_images(struct indexer *x, struct err *err)
{
    struct index_job v[IMAGES_MAX];
    size_t n;
    if (!x->more || x->images_n > IMAGES_MAX / 2)
        return 0;
    if (index_job_list(x->reg, JOB_INDEX_IMAGE, v, IMAGES_MAX, &n, &x->next_due_ms, err) < 0)
        return -1;
    for (size_t i = 0; i < n && x->images_n < IMAGES_MAX; i++)
        if (!is_known(x, &v[i].job) && add_image(x, &v[i], err) < 0)
            return -1;
    x->more = n == IMAGES_MAX;
    return 0;
}

/* Starts what can be started; those of its layers that are done are forgotten. *sick: one will have
 * to wait. */
static int
tend_image(struct indexer *x, struct image *image, bool *sick, struct err *err)
{
    enum state state;
    *sick = false;
    for (size_t i = 0; i < image->layers_n; i++) {
        int rc = tend_layer(x, &image->layers[i], &state, err);
        *sick = *sick || state == STATE_SICK;
        if (state == STATE_DONE)
            image->layers[i--] = image->layers[--image->layers_n];
        if (rc < 0)
            return -1;
    }
    return 0;
}

static int
end_images(struct indexer *x, bool *told, struct err *err)
{
    struct index_job_end v[INDEX_JOB_DONE_MAX];
    struct index_job_image found;
    size_t n = 0;
    for (size_t i = 0; i < x->images_n; i++) {
        struct image *image = &x->images[i];
        if (image->layers_n > 0)
            continue;
        /* It may have gone meanwhile. */
        arena_reset(&x->arena);
        int rc = index_job_image(x->reg, &image->job, &x->arena, &found, err);
        if (rc == 1)
            v[n++] = (struct index_job_end){image->job, image->id};
        else if (rc == 0 && index_job_drop(x->reg, &image->job, err) < 0)
            return -1;
        else if (rc < 0 && err->code != ERR_NO_IMAGE)
            return -1;
    }
    if (n > 0 && index_job_done(x->reg, v, n, err) < 0)
        return -1;
    *told = *told || n > 0;
    for (size_t i = x->images_n; i-- > 0;)
        if (x->images[i].layers_n == 0)
            forget_image(x, i);
    return 0;
}

static int
tend_images(struct indexer *x, bool *told, struct err *err)
{
    int rc = 0;
    bool sick;
    if (add_images(x, err) < 0)
        return -1;
    for (size_t i = 0; rc == 0 && i < x->images_n; i++) {
        rc = tend_image(x, &x->images[i], &sick, err);
        if (!sick)
            continue;
        if (postpone(x, &x->images[i].job, err) < 0)
            return -1;
        forget_image(x, i--);
        x->more = true;
    }
    if (end_images(x, told, err) < 0)
        return -1;
    return rc;
}

/* ---- the whole ---- */

static void
write_texts(struct indexer *x, const struct options *o)
{
    uint64_t seconds = o->index_time_ms / 1000, mib = o->index_memory >> 20;
    snprintf(x->time_text, sizeof x->time_text, "%llu s", (unsigned long long)seconds);
    snprintf(x->memory_text, sizeof x->memory_text, "%llu MiB", (unsigned long long)mib);
}

struct indexer *
indexer_new(const struct options *o, const struct registry *reg, struct err *err)
{
    struct indexer *x = calloc(1, sizeof *x);
    if (x != NULL)
        x->running = calloc(o->index_jobs, sizeof *x->running);
    if (x == NULL || x->running == NULL) {
        free(x);
        err_errno(err, "no memory for indexing layers");
        return NULL;
    }
    x->reg = reg;
    x->jobs = o->index_jobs;
    x->limits = layer_scan_defaults;
    x->limits.tree.entries = o->index_max_entries;
    x->limits.tree.depth = (unsigned)o->index_max_depth;
    x->limits.output = o->index_max_output;
    x->limits.ratio = o->index_max_ratio;
    if (x->limits.memory > o->index_memory / 4)
        x->limits.memory = o->index_memory / 4;
    uint64_t seconds = (o->index_time_ms + 999) / 1000;
    x->child = (struct confined_limits){
        .memory = o->index_memory,
        .seconds = (unsigned)(seconds < SECONDS_MAX ? seconds : SECONDS_MAX),
        .background = true};
    write_texts(x, o);
    arena_init(&x->arena, ARENA_MAX);
    x->next_due_ms = UINT64_MAX;
    indexer_poke(x);
    return x;
}

void
indexer_free(struct indexer *x)
{
    struct err ignored;
    if (x == NULL)
        return;
    while (x->running_n > 0)
        close_task(&x->running[--x->running_n]);
    while (x->images_n > 0)
        forget_image(x, x->images_n - 1);
    if (x->begun && x->mark != x->saved)
        index_job_mark_save(x->reg, x->mark, &ignored);
    arena_reset(&x->arena);
    free(x->running);
    free(x);
}

void
indexer_poke(struct indexer *x)
{
    x->fresh = true;
    x->look = true;
    x->more = true;
}

/* Jobs for what was pushed. The mark is written with them, else now and then. */
static int
take_events(struct indexer *x, struct err *err)
{
    uint64_t now = clock_mono_ms();
    if (!x->begun && index_job_mark(x->reg, &x->mark, err) < 0)
        return -1;
    if (!x->begun)
        x->saved = x->mark;
    x->begun = true;
    for (int i = 0; x->fresh && i < BATCHES_MAX; i++)
        if (index_job_take(x->reg, &x->mark, &x->fresh, err) < 0)
            return -1;
    if (x->mark == x->saved || now < x->save_at)
        return 0;
    if (index_job_mark_save(x->reg, x->mark, err) < 0)
        return -1;
    x->saved = x->mark;
    x->save_at = now + MARK_EACH_MS;
    return 0;
}

int
indexer_step(struct indexer *x, bool *told, struct err *err)
{
    int rc = 0;
    *told = false;
    if (reap(x, err) < 0) {
        pause_all(x);
        return -1;
    }
    if (x->next_due_ms <= clock_wall_ms()) {
        x->next_due_ms = UINT64_MAX;
        x->more = x->look = true;
    }
    if (clock_mono_ms() < x->pause_until || !(x->fresh || x->look))
        return 0;
    if (room_check(x->reg->dirfd, 0, err) < 0) {
        pause_all(x); /* the keeper tells of that anyway */
        return 0;
    }
    x->look = false;
    if (take_events(x, err) < 0 || tend_demands(x, err) < 0 || tend_images(x, told, err) < 0)
        rc = -1;
    if (rc < 0)
        pause_all(x);
    else if (x->images_n == 0 && x->running_n == 0)
        x->pauses = 0;
    return rc;
}

size_t
indexer_poll(const struct indexer *x, struct pollfd *fds)
{
    for (size_t i = 0; i < x->running_n; i++)
        fds[i] = (struct pollfd){.fd = x->running[i].child.ended, .events = POLLIN};
    return x->running_n;
}

uint64_t
indexer_wait_ms(const struct indexer *x)
{
    uint64_t now = clock_mono_ms(), wall = clock_wall_ms(), wait = UINT64_MAX;
    if (x->look || x->fresh)
        return x->pause_until > now ? x->pause_until - now : 0;
    if (x->next_due_ms != UINT64_MAX)
        wait = x->next_due_ms > wall ? x->next_due_ms - wall : 0;
    return wait;
}
