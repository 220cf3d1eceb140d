#include "process/keeper/indexer.h"
#include <limits.h>
#include "domain/inside/index_job.h"
#include "domain/events/outbox.h"
#include "process/keeper/index_child.h"
#include "storage/files/blob_file.h"
#include "storage/layers/index_file.h"
#include "storage/files/disk_space.h"
#include "storage/tables/tbl_blob.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

/* The number of the oldest images and demands that are worked on together. */
#define IMAGES_MAX INDEX_JOB_DONE_MAX
#define DEMANDS_MAX 64
#define STARTED_MAX 64
/* A layer that a request waits for counts as if its repository and user had this many fewer
 * children (index_job_kin). */
#define WAITED_FOR_BONUS 32
/* Looking through all jobs takes at most this part of the keeper's time. */
#define LIST_PART 10
#define BATCHES_MAX 16 /* batches of events in one step */
#define MARK_EACH_MS 10000
#define ARENA_MAX (16u << 20)

/* Pauses after trouble with the machine, and after trouble with one layer. */
#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS 60000
#define LAYER_PAUSE_MAX_MS 600000
#define TRIES_MAX 3

/* An image, and its layers that are not known to be indexed. */
struct image {
    struct index_job job;
    bool sick; /* a layer of it is passed over */
    struct digest id;
    struct digest *layers;
    size_t layers_n;
};

/* A layer that failed for a reason that may pass. */
struct sick {
    struct digest layer;
    unsigned tries;
    uint64_t again_ms;
};
#define SICK_MAX 64

struct indexer {
    const struct registry *reg;
    struct index_child_bounds bounds;

    bool begun;
    uint32_t mark, saved; /* events whose images have jobs */
    uint64_t save_at;
    bool fresh; /* there may be more */
    bool look;  /* there may be a child to start or to reap */
    bool more;  /* and due images that aren't in `images` */
    uint64_t list_at;

    struct index_child *running;
    struct loop_fd *ended; /* of those that run */
    size_t running_n, jobs;
    struct loop_timer due; /* of the next step */
    struct image images[IMAGES_MAX];
    size_t images_n;
    uint64_t next_due_ms; /* when the next job is due, on the wall clock */

    /* The jobs of the children that were started last. The next child is for the repository and the
     * user with the fewest of them. */
    struct rec_job started[STARTED_MAX];
    size_t started_at;

    uint64_t pause_until;
    unsigned pauses;
    struct sick sick[SICK_MAX];
    size_t sick_at;
    struct arena arena;
};

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

/* Passes the layer over for a while, and the images that have it. */
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
    log_client_line(LOG_WARN, "a layer can't be indexed now", "layer=%s tries=%u why=%s", hex,
                    s->tries, why);
    s->again_ms = clock_mono_ms() + grown(s->tries, LAYER_PAUSE_MAX_MS);
    return s;
}

static bool
is_sick(struct indexer *x, const struct digest *layer)
{
    const struct sick *s = find_sick(x, layer);
    return s != NULL && clock_mono_ms() < s->again_ms;
}

/* Starts no child for a while. */
static void
pause_all(struct indexer *x)
{
    x->pauses++;
    x->pause_until = clock_mono_ms() + grown(x->pauses, PAUSE_MAX_MS);
    x->look = true;
}

/* ---- children that have ended ---- */

/* Tries the layer again later. If the layer itself may be the cause, the number of tries is
 * limited. */
static int
note_child_failure(struct indexer *x, const struct index_child *c, enum index_child_end end,
                   const char *why, struct err *err)
{
    char text[ERR_MESSAGE_MAX + 32];
    if (note_sick(x, &c->digest, why)->tries <= TRIES_MAX || end != INDEX_CHILD_KILLED)
        return 0;
    snprintf(text, sizeof text, "indexing it failed: %s", why);
    return index_child_give_up(c, x->reg, text, err);
}

static void
take_success(struct indexer *x, const struct digest *layer)
{
    struct sick *s = find_sick(x, layer);
    x->pauses = 0;
    if (s != NULL)
        s->tries = 0;
}

static int
reap_children(struct indexer *x, struct err *err)
{
    char why[ERR_MESSAGE_MAX];
    enum index_child_end end;
    int rc = 0;
    for (size_t i = 0; i < x->running_n; i++) {
        struct index_child *c = &x->running[i];
        int r = index_child_ended(c, x->reg, &x->bounds, &end, why, err);
        if (end == INDEX_CHILD_RUNS)
            continue;
        if (r == 0 && end == INDEX_CHILD_DONE)
            take_success(x, &c->digest);
        else if (r == 0)
            r = note_child_failure(x, c, end, why, err);
        if (r < 0)
            rc = -1;
        index_child_stop(c);
        *c = x->running[--x->running_n];
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
        if (digest_equal(&x->running[i].digest, layer))
            return true;
    return false;
}

static int
start_index_child(struct indexer *x, const struct digest *layer, enum state *state, struct err *err)
{
    struct rec_blob blob;
    int rc = tbl_blob_get(kv_reads(x->reg->kv), layer, &blob, err);
    int fd;

    if (rc < 0)
        return -1;
    *state = STATE_DONE;
    if (rc == 0)
        return 0;
    fd = blob_file_open(x->reg->dirfd, layer, blob.instance, err);
    if (fd < 0) {
        note_sick(x, layer, err->message);
        *state = STATE_SICK;
        return 0;
    }
    *state = STATE_WAITING;
    if (index_child_start(&x->running[x->running_n], x->reg, &x->bounds, layer, blob.size, fd,
                          err) < 0)
        return -1;
    *state = STATE_COMING;
    x->running_n++;
    return 0;
}

/* Checks whether the layer has an index. */
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

/* Decides what to do about a layer, and starts a child if there is room for one more. -1: none can
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
    return start_index_child(x, layer, state, err);
}

/* ---- images ---- */

static void
forget_image(struct indexer *x, size_t i)
{
    free(x->images[i].layers);
    x->images_n--;
    memmove(&x->images[i], &x->images[i + 1], (x->images_n - i) * sizeof *x->images);
}

static int
postpone_index_job(struct indexer *x, const struct index_job *j, struct err *err)
{
    uint64_t pause = grown(j->record.tries + 1, LAYER_PAUSE_MAX_MS);
    return index_job_postpone(x->reg, j, clock_wall_ms() + pause, err);
}

/* True for an error of the whole store, and not of one record or file in it. */
static bool
is_general(const struct err *err)
{
    return err->code == ERR_BUSY || err->code == ERR_NO_SPACE;
}

/* Reads the image's layers. Drops an image that is gone; an incomplete one is not worked on now. */
static int
add_image(struct indexer *x, const struct index_job *j, struct err *err)
{
    struct image *image = &x->images[x->images_n];
    struct index_job_image found;
    int rc;

    arena_reset(&x->arena);
    rc = index_job_image(x->reg, j, &x->arena, &found, err);
    if (rc < 0 && is_general(err))
        return -1;
    if (rc < 0) {
        if (err->code != ERR_NO_IMAGE)
            log_client_line(LOG_WARN, "an image can't be indexed now", "repository=%s why=%s",
                            j->record.repository, err->message);
        return postpone_index_job(x, j, err);
    }
    if (rc == 0)
        return index_job_drop(x->reg, j, err);
    *image = (struct image){.job = *j, .id = found.id, .layers_n = found.layers_n};
    image->layers = mem_array(found.layers_n + 1, sizeof *image->layers);
    if (found.layers_n > 0)
        memcpy(image->layers, found.layers, found.layers_n * sizeof *found.layers);
    x->images_n++;
    return 0;
}

static int
add_images(struct indexer *x, struct err *err)
{
    struct index_job v[IMAGES_MAX];
    struct index_job_list l = {.v = v, .room = IMAGES_MAX, .n = x->images_n};
    uint64_t begin = clock_mono_ms(), end;

    if (!x->more || x->images_n == IMAGES_MAX)
        return 0;
    if (begin < x->list_at) {
        uint64_t due = clock_wall_ms() + x->list_at - begin;

        x->next_due_ms = x->next_due_ms < due ? x->next_due_ms : due;
        return 0;
    }
    for (size_t i = 0; i < l.n; i++)
        v[i] = x->images[i].job;
    if (index_job_list(x->reg, JOB_INDEX_IMAGE, &l, err) != 0)
        return -1;
    end = clock_mono_ms();
    x->list_at = end + LIST_PART * (end - begin);
    x->next_due_ms = l.next_due;
    x->more = l.more;
    for (size_t i = x->images_n; i < l.n; i++)
        if (add_image(x, &v[i], err) < 0)
            return -1;
    return 0;
}

/* ---- in turn ---- */

/* How much a repository and a user have had lately: the fewer comes first. */
static unsigned
count_turns(const struct indexer *x, const struct index_job *j)
{
    unsigned n = index_job_is_waited_for(j) ? 0 : WAITED_FOR_BONUS;

    for (size_t i = 0; i < STARTED_MAX && i < x->started_at; i++)
        n += index_job_kin(&j->record, &x->started[i]);
    return n;
}

/* Drops the demand for a layer that is passed over. A request that still waits for it asks again.
 */
static int
tend_demand(struct indexer *x, const struct index_job *j, struct err *err)
{
    struct err later;
    enum state state;
    int rc = tend_layer(x, &j->job.digest, &state, err);

    if ((state == STATE_DONE || state == STATE_SICK) &&
        index_job_drop(x->reg, j, rc == 0 ? err : &later) != 0)
        return -1;
    return rc;
}

/* Removes finished layers from the image's list, and starts at most one child. */
static int
tend_image(struct indexer *x, struct image *image, struct err *err)
{
    size_t running = x->running_n;
    enum state state;

    for (size_t i = 0; i < image->layers_n && x->running_n == running; i++) {
        int rc = tend_layer(x, &image->layers[i], &state, err);

        image->sick = image->sick || state == STATE_SICK;
        if (state == STATE_DONE)
            image->layers[i--] = image->layers[--image->layers_n];
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* Demands and images, each until nothing can be started for it. */
#define TURNS_MAX (DEMANDS_MAX + IMAGES_MAX)
#define TURN_OVER UINT_MAX

static int
tend_in_turn(struct indexer *x, struct err *err)
{
    struct index_job demands[DEMANDS_MAX];
    struct index_job_list l = {.v = demands, .room = DEMANDS_MAX};
    unsigned turns[TURNS_MAX];
    size_t n;

    if (index_job_list(x->reg, JOB_INDEX, &l, err) != 0)
        return -1;
    n = l.n + x->images_n;
    for (size_t i = 0; i < n; i++)
        turns[i] = count_turns(x, i < l.n ? &demands[i] : &x->images[i - l.n].job);
    for (;;) {
        const struct index_job *job;
        size_t at = 0, running = x->running_n;
        int rc;

        for (size_t i = 1; i < n; i++)
            if (turns[i] < turns[at])
                at = i;
        if (n == 0 || turns[at] == TURN_OVER)
            return 0;
        job = at < l.n ? &demands[at] : &x->images[at - l.n].job;
        rc = at < l.n ? tend_demand(x, job, err) : tend_image(x, &x->images[at - l.n], err);
        if (rc != 0)
            return -1;
        if (x->running_n == running) {
            turns[at] = TURN_OVER;
            continue;
        }
        x->started[x->started_at++ % STARTED_MAX] = job->record;
        for (size_t i = 0; i < n; i++)
            if (turns[i] != TURN_OVER)
                turns[i] = count_turns(x, i < l.n ? &demands[i] : &x->images[i - l.n].job);
    }
}

static int
end_images(struct indexer *x, bool *told, struct err *err)
{
    struct index_job_end v[INDEX_JOB_DONE_MAX];
    struct index_job_image found;
    size_t n = 0;
    for (size_t i = 0; i < x->images_n; i++) {
        struct image *image = &x->images[i];
        int rc;

        if (image->layers_n > 0)
            continue;
        /* It may have been deleted meanwhile. */
        arena_reset(&x->arena);
        rc = index_job_image(x->reg, &image->job, &x->arena, &found, err);
        if (rc == 1)
            v[n++] = (struct index_job_end){image->job, image->id};
        else if (rc == 0 && index_job_drop(x->reg, &image->job, err) < 0)
            return -1;
        else if (rc < 0 && is_general(err))
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
work_on_jobs(struct indexer *x, bool *told, struct err *err)
{
    struct err later; /* errors after the first one */
    int rc;

    if (add_images(x, err) < 0)
        return -1;
    rc = tend_in_turn(x, err);
    for (size_t i = 0; i < x->images_n; i++) {
        if (!x->images[i].sick)
            continue;
        if (postpone_index_job(x, &x->images[i].job, rc == 0 ? err : &later) < 0)
            return -1;
        forget_image(x, i--);
        x->more = true;
    }
    if (end_images(x, told, rc == 0 ? err : &later) < 0)
        return -1;
    return rc;
}

/* ---- the whole ---- */

struct indexer *
indexer_new(const struct options *o, const struct registry *reg, struct loop *loop)
{
    struct indexer *x = mem_alloc(sizeof *x);

    x->reg = reg;
    x->jobs = o->index_jobs;
    x->running = mem_array(x->jobs, sizeof *x->running);
    x->ended = mem_array(x->jobs, sizeof *x->ended);
    for (size_t i = 0; i < x->jobs; i++)
        loop_fd_init(&x->ended[i], loop, NULL, NULL);
    loop_timer_init(&x->due, loop, NULL, NULL);
    index_child_bounds_of(&x->bounds, o);
    arena_init(&x->arena, ARENA_MAX);
    x->next_due_ms = UINT64_MAX;
    indexer_poke(x);
    return x;
}

void
indexer_free(struct indexer *x)
{
    struct err ignored;
    loop_timer_stop(&x->due);
    for (size_t i = 0; i < x->jobs; i++)
        loop_fd_stop(&x->ended[i]);
    while (x->running_n > 0)
        index_child_stop(&x->running[--x->running_n]);
    while (x->images_n > 0)
        forget_image(x, x->images_n - 1);
    if (x->begun && x->mark != x->saved)
        outbox_indexed_save(x->reg, x->mark, &ignored);
    arena_reset(&x->arena);
    free(x->running);
    free(x->ended);
    free(x);
}

void
indexer_poke(struct indexer *x)
{
    x->fresh = true;
    x->look = true;
    x->more = true;
}

/* Adds jobs for pushed images. The mark is written with them, otherwise now and then. */
static int
queue_pushed_images(struct indexer *x, struct err *err)
{
    uint64_t now = clock_mono_ms();
    if (!x->begun && outbox_indexed(x->reg, &x->mark, err) < 0)
        return -1;
    if (!x->begun)
        x->saved = x->mark;
    x->begun = true;
    for (int i = 0; x->fresh && i < BATCHES_MAX; i++)
        if (index_job_take(x->reg, &x->mark, &x->fresh, err) < 0)
            return -1;
    if (x->mark == x->saved || now < x->save_at)
        return 0;
    if (outbox_indexed_save(x->reg, x->mark, err) < 0)
        return -1;
    x->saved = x->mark;
    x->save_at = now + MARK_EACH_MS;
    return 0;
}

static int
index_what_is_due(struct indexer *x, bool *told, struct err *err)
{
    int rc = 0;
    *told = false;
    if (reap_children(x, err) < 0) {
        pause_all(x);
        return -1;
    }
    if (x->next_due_ms <= clock_wall_ms()) {
        x->next_due_ms = UINT64_MAX;
        x->more = x->look = true;
    }
    if (clock_mono_ms() < x->pause_until || !(x->fresh || x->look))
        return 0;
    if (disk_space_check(x->reg->dirfd, 0, err) < 0) {
        pause_all(x); /* the keeper logs that */
        return 0;
    }
    x->look = false;
    if (queue_pushed_images(x, err) < 0 || work_on_jobs(x, told, err) < 0)
        rc = -1;
    if (rc < 0)
        pause_all(x);
    else if (x->images_n == 0 && x->running_n == 0)
        x->pauses = 0;
    return rc;
}

/* Sets the loop's timer for the next thing to do. */
static void
set_indexer_wait(struct indexer *x)
{
    uint64_t wall = clock_wall_ms();

    for (size_t i = 0; i < x->jobs; i++)
        loop_fd_set(&x->ended[i], i < x->running_n ? x->running[i].process.ended : -1, POLLIN);
    if (x->look || x->fresh)
        loop_timer_at(&x->due, x->pause_until);
    else if (x->next_due_ms == UINT64_MAX)
        loop_timer_stop(&x->due);
    else
        loop_timer_at(&x->due,
                      clock_mono_ms() + (x->next_due_ms > wall ? x->next_due_ms - wall : 0));
}

int
indexer_step(struct indexer *x, bool *told, struct err *err)
{
    int rc = index_what_is_due(x, told, err);

    set_indexer_wait(x);
    return rc;
}
