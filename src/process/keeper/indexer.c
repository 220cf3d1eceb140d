#include "process/keeper/indexer.h"
#include <limits.h>
#include "domain/inside/index_job.h"
#include "domain/events/outbox.h"
#include "process/keeper/index_pool.h"
#include "storage/files/blob_remote.h"
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
/* A layer that a request waits for counts as if its repository and user had been given this many
 * fewer (index_job_kin). */
#define WAITED_FOR_BONUS 32
/* Pushed images are collected for this time before they are worked on, so that small layers share a
 * child, and several images a transaction. */
#define COLLECT_MS 250
/* Looking through all jobs takes at most this part of the keeper's time. */
#define LIST_PART 10
#define ADD_MS 300     /* for images in one step, since a bucket is asked for each layer */
#define BATCHES_MAX 16 /* batches of events in one step */
#define MARK_EACH_MS 10000
#define ARENA_MAX (16u << 20)

/* Pauses after trouble with the machine, and after trouble with one layer. */
#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS 60000
#define LAYER_PAUSE_MAX_MS 600000
#define TRIES_MAX 3

/* An image, and its layers without an index. */
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

/* Demands and images, and how much each has had lately. */
struct turns {
    struct index_job demands[DEMANDS_MAX];
    size_t demands_n, n;
    unsigned had[DEMANDS_MAX + IMAGES_MAX];
};

struct indexer {
    const struct registry *reg;
    struct index_pool pool;

    bool begun;
    uint32_t mark, saved; /* events whose images have jobs */
    uint64_t save_at;
    bool fresh; /* there may be more, to be read at fresh_at */
    uint64_t fresh_at;
    bool look; /* there may be a child to start or to reap */
    bool more; /* and due images that aren't in `images` */
    uint64_t list_at;

    struct loop_timer due; /* of the next step */
    struct image images[IMAGES_MAX];
    size_t images_n;
    uint64_t next_due_ms; /* when the next job is due, on the wall clock */

    /* The jobs of the layers that were given to children last. The next layer is one of the
     * repository and the user with the fewest of them. */
    struct rec_job started[STARTED_MAX];
    size_t started_at;
    struct turns turns; /* of this step */

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
static void
mark_sick_images(struct indexer *x, const struct digest *layer)
{
    for (size_t i = 0; i < x->images_n; i++)
        for (size_t n = 0; n < x->images[i].layers_n; n++)
            if (digest_equal(&x->images[i].layers[n], layer))
                x->images[i].sick = true;
}

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
    mark_sick_images(x, layer);
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
 * limited. Returns 1 if it has an index now. */
static int
note_child_failure(struct indexer *x, const struct index_child_layer *l, enum index_child_end end,
                   const char *why, struct err *err)
{
    char text[ERR_MESSAGE_MAX + 32];
    if (note_sick(x, &l->digest, why)->tries <= TRIES_MAX || end != INDEX_CHILD_KILLED)
        return 0;
    snprintf(text, sizeof text, "indexing it failed: %s", why);
    return index_child_give_up(l, x->reg, text, err) == 0 ? 1 : -1;
}

/* The layer has an index, or there is no such layer: no image waits for it. */
static void
take_success(struct indexer *x, const struct digest *layer)
{
    struct sick *s = find_sick(x, layer);
    x->pauses = 0;
    if (s != NULL)
        s->tries = 0;
    for (size_t i = 0; i < x->images_n; i++)
        for (size_t n = 0; n < x->images[i].layers_n; n++)
            if (digest_equal(&x->images[i].layers[n], layer))
                x->images[i].layers[n--] = x->images[i].layers[--x->images[i].layers_n];
}

static int
take_end(void *arg, const struct index_child_layer *l, enum index_child_end end, const char *why,
         struct err *err)
{
    struct indexer *x = arg;
    int rc = end == INDEX_CHILD_DONE ? 1 : note_child_failure(x, l, end, why, err);

    if (rc == 1)
        take_success(x, &l->digest);
    return rc < 0 ? -1 : 0;
}

static int
reap_children(struct indexer *x, struct err *err)
{
    int rc = 0;
    bool any = index_pool_reap(&x->pool, take_end, x, &rc, err);

    if (index_pool_recall_slow(&x->pool) || any)
        x->look = true;
    return rc;
}

/* ---- starting them ---- */

enum state {
    STATE_DONE,    /* there is an index, or no such layer in the store */
    STATE_COMING,  /* somebody is at it */
    STATE_WAITING, /* for its turn */
    STATE_SICK,    /* it can't be done now */
    STATE_TAKEN,   /* it was given to a child */
};

/* Gives a layer without an index to a child, if there is room for it. */
static int
offer_layer(struct indexer *x, const struct index_job *j, const struct digest *layer,
            enum state *state, struct err *err)
{
    struct rec_blob blob;
    struct blob_late late;
    int rc = tbl_blob_get(kv_reads(x->reg->kv), layer, &blob, err);

    if (rc < 0)
        return -1;
    *state = rc == 0 ? STATE_DONE : STATE_WAITING;
    if (rc == 0 || !index_pool_has_room(&x->pool, j, blob.size))
        return 0;
    late = (struct blob_late){.instance = blob.instance, .size = blob.size};
    if (blob_remote_open(x->reg->blobs, layer, &late, err) != 0) {
        note_sick(x, layer, err->message);
        *state = STATE_SICK;
        return 0;
    }
    if (index_pool_give(&x->pool, j, layer, &late, err) < 0)
        return -1;
    *state = STATE_TAKEN;
    return 0;
}

/* Checks whether the layer has an index. is_asked: as of index_store_look. */
static int
find_index(struct indexer *x, const struct digest *layer, bool is_asked, enum state *state,
           struct err *err)
{
    int rc = 1;

    if (layer->algo != DIGEST_NONE)
        rc = index_store_look(index_place(x->reg), layer, is_asked, err);
    if (rc < 0)
        note_sick(x, layer, err->message);
    *state = rc == 1 ? STATE_DONE : rc < 0 || is_sick(x, layer) ? STATE_SICK : STATE_WAITING;
    return rc < 0 && err->code == ERR_NO_SPACE ? -1 : 0;
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
    return err->code == ERR_BUSY || err->code == ERR_NO_SPACE || err->code == ERR_FAULT;
}

/* Keeps those of its layers that have no index. They are looked for once: only this process makes
 * indexes. */
static int
keep_missing_layers(struct indexer *x, struct image *image, const struct index_job_image *found,
                    struct err *err)
{
    enum state state;

    for (size_t i = 0; i < found->layers_n; i++) {
        if (find_index(x, &found->layers[i], false, &state, err) < 0)
            return -1;
        image->sick = image->sick || state == STATE_SICK;
        if (state != STATE_DONE)
            image->layers[image->layers_n++] = found->layers[i];
    }
    return 0;
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
    *image = (struct image){.job = *j, .id = found.id};
    image->layers = mem_array(found.layers_n + 1, sizeof *image->layers);
    if (keep_missing_layers(x, image, &found, err) < 0) {
        free(image->layers);
        return -1;
    }
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
    for (size_t i = x->images_n; i < l.n && clock_mono_ms() - end < ADD_MS; i++)
        if (add_image(x, &v[i], err) < 0)
            return -1;
    if (clock_mono_ms() - end >= ADD_MS)
        x->more = x->look = true;
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

/* Takes the layer if there is room for it. Drops the demand for a layer that is passed over: a
 * request that still waits for it asks again. An index that was removed is made again. */
static int
tend_demand(struct indexer *x, const struct index_job *j, bool *taken, struct err *err)
{
    const struct digest *layer = &j->job.digest;
    enum state state;
    bool was_there;
    struct err later;
    int rc;

    if (index_pool_has(&x->pool, layer))
        return 0;
    rc = find_index(x, layer, true, &state, err);
    was_there = rc == 0 && state == STATE_DONE;
    if (rc == 0 && state == STATE_WAITING)
        rc = offer_layer(x, j, layer, &state, err);
    *taken = state == STATE_TAKEN;
    if ((state == STATE_DONE || state == STATE_SICK) &&
        index_job_drop(x->reg, j, rc == 0 ? err : &later) != 0)
        return -1;
    if (rc == 0 && was_there && index_store_has(index_place(x->reg), layer, err) == 0)
        return index_job_demand(x->reg, layer, NULL, err);
    return rc;
}

/* Takes at most one layer. */
static int
tend_image(struct indexer *x, struct image *image, bool *taken, struct err *err)
{
    for (size_t i = 0; i < image->layers_n; i++) {
        struct digest layer = image->layers[i];
        enum state state;

        if (index_pool_has(&x->pool, &layer))
            continue;
        if (offer_layer(x, &image->job, &layer, &state, err) < 0)
            return -1;
        *taken = state == STATE_TAKEN;
        if (state == STATE_DONE)
            image->layers[i--] = image->layers[--image->layers_n];
        else
            return 0;
    }
    return 0;
}

/* ---- each in turn, until nothing can be taken of it ---- */

#define TURN_OVER UINT_MAX

static const struct index_job *
turn_job(const struct indexer *x, size_t i)
{
    const struct turns *t = &x->turns;

    return i < t->demands_n ? &t->demands[i] : &x->images[i - t->demands_n].job;
}

/* A layer of the job was given to a child: it, and those of its repository and user, come later. */
static void
count_turn(struct indexer *x, const struct rec_job *given)
{
    struct turns *t = &x->turns;
    struct rec_job *place = &x->started[x->started_at % STARTED_MAX];
    bool is_forgotten = x->started_at >= STARTED_MAX;

    for (size_t i = 0; i < t->n; i++) {
        const struct rec_job *r = &turn_job(x, i)->record;

        if (t->had[i] == TURN_OVER)
            continue;
        t->had[i] += index_job_kin(r, given);
        t->had[i] -= is_forgotten ? index_job_kin(r, place) : 0;
    }
    *place = *given;
    x->started_at++;
}

static int
tend_turn(struct indexer *x, size_t at, struct err *err)
{
    struct turns *t = &x->turns;
    struct rec_job record = turn_job(x, at)->record;
    bool taken = false;
    int rc = at < t->demands_n ? tend_demand(x, &t->demands[at], &taken, err)
                               : tend_image(x, &x->images[at - t->demands_n], &taken, err);

    if (rc != 0)
        return -1;
    if (taken)
        count_turn(x, &record);
    else
        t->had[at] = TURN_OVER;
    return 0;
}

static int
tend_in_turn(struct indexer *x, struct err *err)
{
    struct turns *t = &x->turns;

    t->n = t->demands_n + x->images_n;
    for (size_t i = 0; i < t->n; i++)
        t->had[i] = count_turns(x, turn_job(x, i));
    for (;;) {
        size_t at = 0;

        for (size_t i = 1; i < t->n; i++)
            if (t->had[i] < t->had[at])
                at = i;
        if (t->n == 0 || t->had[at] == TURN_OVER || index_pool_is_full(&x->pool))
            return 0;
        if (tend_turn(x, at, err) != 0)
            return -1;
    }
}

/* Starts what can be started. */
static int
start_children(struct indexer *x, struct err *err)
{
    struct turns *t = &x->turns;
    struct index_job_list l = {.v = t->demands, .room = DEMANDS_MAX};
    struct err later;
    int rc = 0;

    if (index_job_list(x->reg, JOB_INDEX, &l, err) != 0)
        return -1;
    t->demands_n = l.n;
    for (size_t i = 0; i < l.n; i++)
        if (index_job_is_waited_for(&t->demands[i]))
            index_pool_make_way(&x->pool, &t->demands[i].job.digest);
    rc = tend_in_turn(x, err);
    if (index_pool_start(&x->pool, rc == 0 ? err : &later) < 0)
        rc = -1;
    return rc;
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
    rc = start_children(x, err);
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
    index_pool_init(&x->pool, o, reg, loop);
    loop_timer_init(&x->due, loop, NULL, NULL);
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
    index_pool_free(&x->pool);
    while (x->images_n > 0)
        forget_image(x, x->images_n - 1);
    if (x->begun && x->mark != x->saved)
        outbox_indexed_save(x->reg, x->mark, &ignored);
    arena_reset(&x->arena);
    free(x);
}

void
indexer_poke(struct indexer *x)
{
    if (!x->fresh)
        x->fresh_at = clock_mono_ms() + COLLECT_MS;
    x->fresh = true;
}

void
indexer_hurry(struct indexer *x)
{
    x->look = true;
}

void
indexer_look(const struct indexer *x, struct indexer_state *out)
{
    *out = (struct indexer_state){x->pool.n, x->pool.done, x->pauses};
}

static bool
is_collected(const struct indexer *x)
{
    return x->fresh && clock_mono_ms() >= x->fresh_at;
}

/* Adds jobs for pushed images that were collected. The mark is written with them, otherwise now and
 * then. */
static int
queue_pushed_images(struct indexer *x, struct err *err)
{
    uint64_t now = clock_mono_ms();
    if (!x->begun && outbox_indexed(x->reg, &x->mark, err) < 0)
        return -1;
    if (!x->begun)
        x->saved = x->mark;
    x->begun = true;
    x->more = x->more || is_collected(x);
    for (int i = 0; is_collected(x) && i < BATCHES_MAX; i++)
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
    if (clock_mono_ms() < x->pause_until || !(is_collected(x) || x->look))
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
    else if (x->images_n == 0 && x->pool.n == 0)
        x->pauses = 0;
    return rc;
}

/* Sets the loop's timer for the next thing to do. */
static void
set_indexer_wait(struct indexer *x)
{
    uint64_t wall = clock_wall_ms();

    loop_timer_stop(&x->due);
    index_pool_watch(&x->pool, &x->due);
    if (x->look)
        loop_timer_by(&x->due, x->pause_until);
    if (x->fresh)
        loop_timer_by(&x->due, x->fresh_at > x->pause_until ? x->fresh_at : x->pause_until);
    if (x->next_due_ms != UINT64_MAX)
        loop_timer_by(&x->due,
                      clock_mono_ms() + (x->next_due_ms > wall ? x->next_due_ms - wall : 0));
}

int
indexer_step(struct indexer *x, bool *told, struct err *err)
{
    int rc = index_what_is_due(x, told, err);

    set_indexer_wait(x);
    return rc;
}
