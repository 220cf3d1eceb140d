/* A byte that says how, and an index: 0, a file of which the sums are put right; 1, records (a
 * length of the key, two bytes of length of the value, both), of which a file is made. All that can
 * be asked is answered, or ERR_CORRUPT. */
#include "layer.h"
#include "storage/layers/layer_read.h"
#include "storage/layers/sorted_writer.h"

#define DEPTH_MAX 40u

struct walk {
    struct layer_index *x;
    int blob;
    unsigned budget;
};

/* ---- making a file ---- */

static void
seal(struct buf *file, struct sorted_format_place place, uint32_t height, unsigned *budget)
{
    uint8_t *block;
    struct bytes records, key, value;
    uint32_t raw_n;
    size_t at = 0;

    if (place.length < SORTED_FORMAT_BLOCK_HEADER || place.offset > file->n ||
        place.length > file->n - place.offset || *budget == 0)
        return;
    --*budget;
    block = (uint8_t *)file->p + place.offset;
    sorted_format_open(block, place.length, place.offset, &raw_n);
    records =
        bytes_of(block + SORTED_FORMAT_BLOCK_HEADER, place.length - SORTED_FORMAT_BLOCK_HEADER);
    while (height > 1 && sorted_format_get_record(records, &at, &key, &value)) {
        struct sorted_format_place below;

        if (sorted_format_get_place(&below, value) && below.offset < place.offset &&
            below.length <= place.offset - below.offset)
            seal(file, below, height - 1, budget);
    }
    sorted_format_seal(block, place.length, place.offset, raw_n);
}

static int
file_of_bytes(const uint8_t *p, size_t n)
{
    struct sorted_format_header h;
    uint8_t header[SORTED_FORMAT_HEADER];
    unsigned budget = 1000;
    struct buf file;
    int fd;

    buf_init(&file, FUZZ_TAR_MAX);
    buf_put(&file, p, n);
    if (buf_ok(&file) && file.n >= SORTED_FORMAT_HEADER) {
        uint8_t *own = (uint8_t *)file.p;

        /* Whatever its sum is: these fields, with the sum right. */
        h = (struct sorted_format_header){.height = own[15] % 10, .size = file.n};
        sorted_format_get_place(&h.root, bytes_of(own + 16, SORTED_FORMAT_PLACE));
        sorted_format_put_header(header, &h);
        memcpy(own, header, sizeof header);
        if (h.height > 0)
            seal(&file, h.root, h.height, &budget);
    }
    fd = fuzz_file(buf_bytes(&file));
    buf_free(&file);
    return fd;
}

static int
file_of_records(const uint8_t *p, size_t n)
{
    int fd = fuzz_file(bytes_of("", 0));
    struct err err = {0};
    struct sorted_writer *w = sorted_writer_new(fd);

    MUST(w != NULL);
    while (n > 3) {
        size_t key_n = p[0], value_n = p[1] + 256u * p[2];

        p += 3;
        n -= 3;
        key_n = key_n < n ? key_n : n;
        value_n = value_n < n - key_n ? value_n : n - key_n;
        if (sorted_writer_put(w, bytes_of(p, key_n), bytes_of(p + key_n, value_n), &err) != 0)
            break;
        p += key_n + value_n;
        n -= key_n + value_n;
    }
    MUST(sorted_writer_finish(w, &err) == 0);
    sorted_writer_free(w);
    return fd;
}

/* ---- asking it ---- */

static int
on_bytes(void *arg, struct bytes b, struct err *err)
{
    struct walk *w = arg;

    (void)b;
    return w->budget-- > 1 ? 0 : err_set(err, ERR_BUSY, "enough");
}

static void
ask(struct walk *w, const struct layer_entry *e)
{
    struct inflate_checkpoint c;
    struct layer_piece *pieces;
    struct layer_entry is = *e;
    struct err err = {0};
    size_t n;

    if (layer_index_checkpoint(w->x, e->data, &c, &err) == 1)
        MUST(c.out <= e->data && c.window.n <= INFLATE_WINDOW);
    if (layer_index_sparse(w->x, e->data, &pieces, &n, &err) == 1)
        free(pieces);
    layer_read(w->blob, w->x, &is, 0, is.size < 50000 ? is.size : 50000, &layer_read_defaults,
               on_bytes, w, &err);
}

static void
list(struct walk *w, uint32_t dir, unsigned depth)
{
    struct layer_index_list l;
    struct layer_entry e;
    struct err err = {0};
    int rc;

    if (layer_index_list(w->x, dir, bytes_of("", 0), &l, &err) != 0) {
        MUST(err.code == ERR_CORRUPT);
        return;
    }
    while (w->budget > 0 && (rc = layer_index_next(&l, &e, &err)) != 0) {
        w->budget--;
        if (rc < 0) {
            MUST(err.code == ERR_CORRUPT);
            break;
        }
        MUST(layer_entry_name_ok(e.name));
        MUST(e.type != LAYER_DIR || e.dir > dir);
        MUST(e.link.n <= LAYER_PATH_MAX);
        if (e.type == LAYER_DIR && depth < DEPTH_MAX)
            list(w, e.dir, depth + 1);
        else
            ask(w, &e);
        if (w->budget > 0)
            w->budget--;
    }
    layer_index_leave(&l);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct walk w = {.budget = 2000};
    struct layer_entry e;
    struct err err = {0};
    int fd;

    if (n == 0)
        return 0;
    fd = data[0] % 2 == 0 ? file_of_bytes(data + 1, n - 1) : file_of_records(data + 1, n - 1);
    w.x = layer_index_open(fd, &err);
    if (w.x == NULL) {
        MUST(err.code == ERR_CORRUPT || err.code == ERR_UNSUPPORTED);
        close(fd);
        return 0;
    }
    w.blob = fuzz_file(bytes_of(data, n));
    if (layer_index_root(w.x, &e, &err) < 0)
        MUST(err.code == ERR_CORRUPT);
    if (layer_index_get(w.x, 0, bytes_str("a"), &e, &err) == 1)
        ask(&w, &e);
    list(&w, LAYER_INDEX_ROOT, 0);
    layer_index_close(w.x);
    close(w.blob);
    return 0;
}
