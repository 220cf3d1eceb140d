/* A byte that says how, and a layer's file: 0, as it is; 1, a tar whose sums are put right; 2, a
 * tar of lines. Whatever it is, its index can be walked, and what it names can be read or not, but
 * without a word of damage in the index. */
#include "layer.h"
#include "storage/layers/layer_read.h"

struct walk {
    int blob;
    struct layer_index *x;
    uint64_t names, came;
};

static int
on_bytes(void *arg, struct bytes b, struct err *err)
{
    struct walk *w = arg;

    (void)err;
    w->came += b.n;
    return 0;
}

static void
read_some(struct walk *w, const struct layer_entry *e)
{
    uint64_t n = e->size < 100000 ? e->size : 100000, from = (e->size - n) / 2;
    struct err err = {0};

    w->came = 0;
    if (layer_read(w->blob, w->x, e, from, n, &layer_read_defaults, on_bytes, w, &err) == 0)
        MUST(w->came == n);
    else
        MUST(err.code == ERR_NOT_BROWSABLE && w->came <= n);
}

static void
list(struct walk *w, uint32_t dir, unsigned depth)
{
    struct layer_index_list l;
    struct layer_entry e;
    struct err err = {0};
    int rc;

    MUST(depth <= 64);
    MUST(layer_index_list(w->x, dir, bytes_of("", 0), &l, &err) == 0);
    while ((rc = layer_index_next(&l, &e, &err)) > 0) {
        struct layer_entry again;

        MUST(layer_entry_name_ok(e.name) && !bytes_start_with(e.name, bytes_str(".wh.")));
        if (e.type != LAYER_NONE || (e.flags & LAYER_LOWER) != 0)
            w->names++;
        if (e.type == LAYER_FILE)
            read_some(w, &e);
        MUST(layer_index_get(w->x, dir, e.name, &again, &err) == 1 && again.type == e.type);
        if (e.type == LAYER_DIR)
            list(w, e.dir, depth + 1);
    }
    MUST(rc == 0);
    layer_index_leave(&l);
}

static void
make_tar(struct buf *out, unsigned how, const char *p, size_t n)
{
    if (how != 2) {
        buf_put(out, p, n);
        for (size_t at = 0; how == 1 && at + 512 <= out->n; at += 512)
            if (memcmp(out->p + at + 257, "ustar", 5) == 0)
                fuzz_sum(out->p + at);
        return;
    }
    while (n > 0) {
        const char *end = memchr(p, '\n', n);
        size_t line = end != NULL ? (size_t)(end - p) : n;

        fuzz_put_line(out, p, line);
        line += end != NULL;
        p += line;
        n -= line;
    }
    if (buf_ok(out))
        memset(buf_extend(out, 1024), 0, 1024);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct walk w = {.names = 0};
    struct layer_entry root;
    struct err err = {0};
    struct buf b;

    if (n == 0)
        return 0;
    buf_init(&b, FUZZ_TAR_MAX);
    make_tar(&b, data[0] % 3, (const char *)data + 1, n - 1);
    if (buf_ok(&b)) {
        w.x = fuzz_scan(buf_bytes(&b), &w.blob);
        if (layer_index_info(w.x)->browsable) {
            MUST(layer_index_root(w.x, &root, &err) == 1);
            list(&w, LAYER_INDEX_ROOT, 0);
            MUST(w.names == layer_index_info(w.x)->names);
        }
        layer_index_close(w.x);
        close(w.blob);
    }
    buf_free(&b);
    return 0;
}
