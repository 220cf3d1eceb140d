#include "storage/layers/layer_scan.h"
#include <sys/stat.h>
#include <unistd.h>
#include "storage/layers/inflate.h"
#include "storage/layers/tar_scan.h"
#include "util/digest_thread.h"

const struct layer_scan_limits layer_scan_defaults = {
    .tree = {.entries = 500000, .names = 64u << 20, .depth = 256, .work = 100000000},
    .output = (uint64_t)64 << 30,
    .ratio = 200,
    .slack = (uint64_t)1 << 30,
    .memory = (size_t)128 << 20,
    .spacing = 4u << 20,
};

/* An index should take at most 1/INDEX_PART of its layer's size. ENTRY_SIZE is about the bytes that
 * an entry takes in it. If the entries alone use up that room, checkpoints are WIDE times as far
 * apart. */
#define INDEX_PART 40
#define ENTRY_SIZE 15
#define WIDE 4

struct scan {
    const struct layer_scan_limits *limits;
    struct layer_info *info;
    struct inflate *inflate;
    struct digest_thread *hash; /* NULL: an uncompressed layer, whose digest is known */
    struct layer_tree *tree;
    struct layer_index_writer *index;
    uint64_t entries;
    uint64_t checkpoint; /* position of the last checkpoint in the index */
};

/* Adds a remark about the layer, as one line of printable ASCII, so that it fits into any answer.
 * */
static void
remark(struct layer_info *info, const char *text)
{
    size_t n = strlen(info->remark);

    snprintf(info->remark + n, sizeof info->remark - n, "%s%s", n > 0 ? "; " : "", text);
    for (char *p = info->remark + n; *p != '\0'; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
}

/* True if the index has room for the checkpoint, or needs it because the last one is far away. */
static bool
is_worth(const struct scan *s, const struct inflate_checkpoint *at)
{
    uint64_t needed = layer_index_written(s->index) + s->entries * ENTRY_SIZE;

    return needed < at->in / INDEX_PART || at->out - s->checkpoint >= WIDE * s->limits->spacing;
}

static int
pull(void *arg, struct bytes *out, struct err *err)
{
    struct scan *s = arg;
    struct inflate_checkpoint at;
    int rc = inflate_pull(s->inflate, out, err);

    if (rc > 0 && s->hash != NULL)
        digest_thread_update(s->hash, out->p, out->n);
    if (rc > 0 && inflate_checkpoint(s->inflate, &at) && is_worth(s, &at)) {
        s->checkpoint = at.out;
        if (layer_index_put_checkpoint(s->index, &at, err) != 0)
            return -1;
    }
    return rc;
}

static uint64_t
skip_tar_bytes(void *arg, uint64_t n)
{
    struct scan *s = arg;

    return inflate_skip(s->inflate, n);
}

static int
on_entry(void *arg, const struct tar_entry *e, struct err *err)
{
    struct scan *s = arg;

    s->entries++;
    return layer_tree_add(s->tree, e, err);
}

/* Reads the bytes behind the tar's end, because the diff id covers all bytes. */
static int
drain(struct scan *s, struct err *err)
{
    struct bytes b;
    int rc;

    if (s->hash == NULL)
        return 0;
    do
        rc = pull(s, &b, err);
    while (rc > 0);
    return rc;
}

/* Handles the result of reading the layer. A passed limit makes the layer not browsable; every
 * other error is a failure. */
static int
found(struct scan *s, int rc, const struct err *err)
{
    if (rc == 0)
        return 0;
    if (err->code != ERR_NOT_BROWSABLE)
        return -1;
    s->info->browsable = false;
    s->info->remark[0] = '\0';
    remark(s->info, err->message);
    return 0;
}

static void
note_end(struct scan *s)
{
    switch (inflate_end(s->inflate)) {
    case INFLATE_TRAILED:
        remark(s->info, "the bytes after its compressed data are ignored");
        break;
    case INFLATE_CUT:
        remark(s->info, "its compressed data end too early");
        break;
    case INFLATE_DAMAGED:
        remark(s->info, "its compressed data are damaged");
        break;
    case INFLATE_GOING:
    case INFLATE_WHOLE:
        break;
    }
}

static int
scan_layer_file(struct scan *s, struct err *err)
{
    struct tar_source source = {pull, s->hash == NULL ? skip_tar_bytes : NULL, s};
    struct layer_info *info = s->info;
    char why[LAYER_INDEX_TEXT_MAX];
    enum tar_end end = TAR_WHOLE;

    info->browsable = true;
    if (found(s, tar_scan(&source, on_entry, s, &end, why, err), err) != 0)
        return -1;
    if (info->browsable && end != TAR_WHOLE) {
        info->incomplete = true;
        info->browsable = end == TAR_INCOMPLETE;
        remark(info, why);
    }
    if (found(s, drain(s, err), err) != 0)
        return -1;
    note_end(s);
    if (s->hash != NULL)
        info->size = inflate_position(s->inflate);
    return 0;
}

static int
write_index(struct scan *s, int out, struct err *err)
{
    if (!s->info->browsable) {
        /* Starts again, without the records written before. */
        layer_index_free(s->index);
        s->index = NULL;
        if (ftruncate(out, 0) != 0)
            return err_errno(err, "empty an index");
        s->index = layer_index_create(out);
        return layer_index_put_info(s->index, s->info, err) == 0 ? layer_index_finish(s->index, err)
                                                                 : -1;
    }
    if (layer_tree_write(s->tree, s->index, s->info, err) != 0 ||
        layer_index_put_info(s->index, s->info, err) != 0 ||
        layer_tree_write_rest(s->tree, s->index, err) != 0)
        return -1;
    return layer_index_finish(s->index, err);
}

static int
prepare_scan(struct scan *s, int layer, int out, bool fast, struct err *err)
{
    const struct inflate_options options = {.output = s->limits->output,
                                            .ratio = s->limits->ratio,
                                            .slack = s->limits->slack,
                                            .memory = s->limits->memory,
                                            .spacing = s->limits->spacing,
                                            .fast = fast};

    if (ftruncate(out, 0) != 0)
        return err_errno(err, "empty an index");
    if ((s->inflate = inflate_open(layer, s->info->format, &options, err)) == NULL)
        return -1;
    s->index = layer_index_create(out);
    s->tree = layer_tree_new(&s->limits->tree);
    if (s->info->format != INFLATE_PLAIN)
        s->hash = digest_thread_begin(DIGEST_SHA256);
    return 0;
}

/* Returns 0 when done; 1 when nothing was written, because the fast decoder found damage; -1. */
static int
run_scan(struct scan *s, int layer, int out, bool fast, struct err *err)
{
    int rc = prepare_scan(s, layer, out, fast, err);

    if (rc == 0)
        rc = scan_layer_file(s, err);
    if (s->hash != NULL)
        digest_thread_end(s->hash, &s->info->diff_id);
    if (rc == 0 && s->hash != NULL && inflate_end(s->inflate) != INFLATE_WHOLE)
        s->info->diff_id = (struct digest){.algo = DIGEST_NONE};
    if (rc == 0 && fast && s->info->format == INFLATE_GZIP &&
        inflate_end(s->inflate) == INFLATE_DAMAGED)
        rc = 1;
    if (rc == 0)
        rc = write_index(s, out, err);
    layer_tree_free(s->tree);
    layer_index_free(s->index);
    inflate_close(s->inflate);
    return rc;
}

static int
begin_info(struct layer_info *info, int layer, const struct digest *digest, struct err *err)
{
    uint8_t magic[8];
    struct stat st;
    ssize_t n;

    if (fstat(layer, &st) != 0 || (n = pread(layer, magic, sizeof magic, 0)) < 0)
        return err_errno(err, "cannot read a layer");
    *info = (struct layer_info){.layer = *digest,
                                .layer_size = (uint64_t)st.st_size,
                                .size = (uint64_t)st.st_size,
                                .diff_id = *digest,
                                .format = inflate_detect(magic, (size_t)n)};
    return 0;
}

int
layer_scan(int layer, const struct digest *digest, int out, const struct layer_scan_limits *limits,
           struct layer_info *info, struct err *err)
{
    bool fast = inflate_has_fast();
    int rc;

    do {
        struct scan s = {.limits = limits, .info = info};

        if (begin_info(info, layer, digest, err) != 0)
            return -1;
        rc = run_scan(&s, layer, out, fast, err);
        /* The fast decoder reports damage; the slow one decides. */
        fast = false;
    } while (rc > 0);
    return rc;
}
