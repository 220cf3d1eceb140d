#include "storage/layers/layer_read.h"
#include "storage/layers/inflate.h"
#include "util/clock.h"
#include "util/mem.h"

const struct layer_read_limits layer_read_defaults = {
    .distance = 64u << 20,
    .distance_slow = 256u << 20,
    .wait_ms = 2000,
    .memory = 32u << 20,
};

struct layer_reader {
    const struct layer_read_limits *limits;
    struct layer_index *index;
    int layer;
    int (*fn)(void *arg, struct bytes b, struct err *err);
    void *arg;
    uint64_t until_ms; /* time limit for the first byte; 0: the first byte was given */
    uint64_t decoded;
    struct inflate *f; /* NULL: nothing is open */
    struct bytes left; /* the unused rest of the last piece */
    uint64_t at;       /* position of `left` in the uncompressed layer */
};

/* Maximal distance of a checkpoint, in bytes, within which it is faster to continue decoding. */
#define NEAR (1u << 20)

static int
too_far(struct err *err)
{
    return err_set(err, ERR_NOT_BROWSABLE,
                   "too much of the layer would have to be read for this: download the layer");
}

/* Finds the checkpoint from which `position` is reached. *found is false for the layer's beginning.
 * */
static int
start_for(struct layer_index *x, uint64_t position, struct inflate_checkpoint *c, bool *found,
          struct err *err)
{
    int rc = 0;

    if (layer_index_info(x)->format != INFLATE_PLAIN)
        rc = layer_index_checkpoint(x, position, c, err);
    *found = rc > 0;
    return rc < 0 ? -1 : 0;
}

static int
check_distance(struct layer_index *x, uint64_t distance, const struct layer_read_limits *limits,
               struct err *err)
{
    enum inflate_format format = layer_index_info(x)->format;

    if (format == INFLATE_PLAIN)
        return 0;
    if (distance > (format == INFLATE_GZIP ? limits->distance : limits->distance_slow))
        return too_far(err);
    return 0;
}

static void
stop_decoding(struct layer_reader *r)
{
    inflate_close(r->f);
    r->f = NULL;
    r->left = bytes_of("", 0);
}

/* Moves r->at to a place from which decoding reaches `position`. */
static int
open_at(struct layer_reader *r, uint64_t position, struct err *err)
{
    enum inflate_format format = layer_index_info(r->index)->format;
    const struct inflate_options options = {.memory = r->limits->memory};
    struct inflate_checkpoint c;
    bool ahead = r->f != NULL && r->at <= position, found;

    if (ahead && position - r->at <= NEAR)
        return 0;
    if (start_for(r->index, position, &c, &found, err) != 0)
        return -1;
    if (ahead && format != INFLATE_PLAIN && r->at >= (found ? c.out : 0))
        return check_distance(r->index, position - r->at, r->limits, err);
    if (check_distance(r->index, position - (found ? c.out : 0), r->limits, err) != 0)
        return -1;
    stop_decoding(r);
    if ((r->f = inflate_open(r->layer, format, &options, err)) == NULL)
        return -1;
    if (found && inflate_resume(r->f, &c, err) != 0)
        return -1;
    if (format == INFLATE_PLAIN)
        inflate_skip(r->f, position);
    r->at = inflate_position(r->f);
    return 0;
}

/* Pulls a piece unless there are bytes left. */
static int
pull_if_empty(struct layer_reader *r, struct err *err)
{
    while (r->left.n == 0) {
        int rc = inflate_pull(r->f, &r->left, err);

        if (rc < 0)
            return -1;
        if (rc == 0)
            return err_set(err, ERR_NOT_BROWSABLE, "the layer is damaged, or ends before this");
        r->decoded += r->left.n;
        if (r->until_ms != 0 && clock_mono_ms() > r->until_ms)
            return too_far(err);
    }
    return 0;
}

static struct bytes
use_left(struct layer_reader *r, uint64_t n)
{
    struct bytes b = bytes_of(r->left.p, n < r->left.n ? (size_t)n : r->left.n);

    r->left = bytes_of((const char *)r->left.p + b.n, r->left.n - b.n);
    r->at += b.n;
    return b;
}

/* Copies n bytes of the uncompressed layer. */
static int
copy_from_layer(struct layer_reader *r, uint64_t position, uint64_t n, struct err *err)
{
    if (open_at(r, position, err) != 0)
        return -1;
    while (r->at < position) {
        if (pull_if_empty(r, err) != 0)
            return -1;
        use_left(r, position - r->at);
    }
    while (n > 0) {
        struct bytes b;

        if (pull_if_empty(r, err) != 0)
            return -1;
        b = use_left(r, n);
        n -= b.n;
        r->until_ms = 0;
        if (r->fn(r->arg, b, err) != 0)
            return -1;
    }
    return 0;
}

static int
give_zeros(struct layer_reader *r, uint64_t n, struct err *err)
{
    static const char zero[16384];

    while (n > 0) {
        size_t part = n < sizeof zero ? (size_t)n : sizeof zero;

        r->until_ms = 0;
        if (r->fn(r->arg, bytes_of(zero, part), err) != 0)
            return -1;
        n -= part;
    }
    return 0;
}

/* Copies the range [from, end) of a file in pieces, whose data begin at `data`. */
static int
copy_pieces(struct layer_reader *r, const struct layer_piece *pieces, size_t pieces_n,
            uint64_t data, uint64_t from, uint64_t end, struct err *err)
{
    for (size_t i = 0; i < pieces_n && from < end; data += pieces[i].length, i++) {
        uint64_t start = pieces[i].offset, stop = start + pieces[i].length;
        uint64_t hole = start < end ? start : end;

        if (from < hole && give_zeros(r, hole - from, err) != 0)
            return -1;
        from = from > hole ? from : hole;
        stop = stop < end ? stop : end;
        if (from >= stop)
            continue;
        if (copy_from_layer(r, data + (from - start), stop - from, err) != 0)
            return -1;
        from = stop;
    }
    return from < end ? give_zeros(r, end - from, err) : 0;
}

static int
read_sparse(struct layer_reader *r, const struct layer_entry *e, uint64_t from, uint64_t n,
            struct err *err)
{
    struct layer_piece *pieces;
    size_t pieces_n;
    int rc = layer_index_sparse(r->index, e->data, &pieces, &pieces_n, err);

    if (rc < 0)
        return -1;
    if (rc == 0)
        return err_set(err, ERR_NOT_BROWSABLE,
                       "the sparse file has too many pieces: download the layer");
    rc = copy_pieces(r, pieces, pieces_n, e->data, from, from + n, err);
    free(pieces);
    return rc;
}

static int
check_extent(const struct layer_entry *e, uint64_t from, uint64_t n, struct err *err)
{
    if (e->type != LAYER_FILE)
        return err_set(err, ERR_NO_FILE, "that is not a file");
    if (from > e->size || n > e->size - from)
        return err_set(err, ERR_BAD_RANGE, "the file has %llu bytes", (unsigned long long)e->size);
    if (e->data > UINT64_MAX - e->size)
        return err_set(err, ERR_CORRUPT, "an index is damaged: the place of a file's data");
    if ((e->flags & LAYER_SPARSE) != 0 && e->size > LAYER_READ_SPARSE_MAX)
        return err_set(err, ERR_NOT_BROWSABLE,
                       "the sparse file is larger than 64 GiB: download the layer");
    return 0;
}

int
layer_read_check(struct layer_index *x, const struct layer_entry *e, uint64_t from,
                 const struct layer_read_limits *limits, struct err *err)
{
    struct inflate_checkpoint c;
    bool found;

    if (check_extent(e, from, 0, err) != 0)
        return -1;
    if ((e->flags & LAYER_SPARSE) != 0)
        from = 0;
    if (start_for(x, e->data + from, &c, &found, err) != 0)
        return -1;
    return check_distance(x, e->data + from - (found ? c.out : 0), limits, err);
}

struct layer_reader *
layer_read_begin(int layer, struct layer_index *x, const struct layer_read_limits *limits)
{
    struct layer_reader *r = mem_alloc(sizeof *r);

    *r = (struct layer_reader){.limits = limits, .index = x, .layer = layer};
    return r;
}

int
layer_read_more(struct layer_reader *r, const struct layer_entry *e, uint64_t from, uint64_t n,
                int (*fn)(void *arg, struct bytes b, struct err *err), void *arg, struct err *err)
{
    int rc;

    if (check_extent(e, from, n, err) != 0)
        return -1;
    if (n == 0)
        return 0;
    r->fn = fn;
    r->arg = arg;
    r->until_ms = clock_mono_ms() + r->limits->wait_ms;
    if ((e->flags & LAYER_SPARSE) != 0)
        rc = read_sparse(r, e, from, n, err);
    else
        rc = copy_from_layer(r, e->data + from, n, err);
    if (rc != 0)
        stop_decoding(r);
    return rc;
}

uint64_t
layer_read_decoded(const struct layer_reader *r)
{
    return r->decoded;
}

void
layer_read_end(struct layer_reader *r)
{
    if (r == NULL)
        return;
    stop_decoding(r);
    free(r);
}

int
layer_read(int layer, struct layer_index *x, const struct layer_entry *e, uint64_t from, uint64_t n,
           const struct layer_read_limits *limits,
           int (*fn)(void *arg, struct bytes b, struct err *err), void *arg, struct err *err)
{
    struct layer_reader *r = layer_read_begin(layer, x, limits);
    int rc = r != NULL ? layer_read_more(r, e, from, n, fn, arg, err) : -1;

    layer_read_end(r);
    return rc;
}
