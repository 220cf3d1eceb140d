#include "layer_fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include "storage/layers/layer_read.h"

#define TAR_MAX ((size_t)1 << 30)

int
layers_begin(void **state)
{
    struct layers *l = calloc(1, sizeof *l);

    assert_non_null(l);
    arena_init(&l->arena, (size_t)64 << 20);
    buf_init(&l->text, (size_t)64 << 20);
    l->limits = layer_scan_defaults;
    *state = l;
    return 0;
}

int
layers_end(void **state)
{
    struct layers *l = *state;

    for (size_t i = 0; i < l->n; i++) {
        layer_index_close(l->index[i]);
        close(l->blob[i]);
    }
    arena_reset(&l->arena);
    buf_free(&l->text);
    free(l);
    return 0;
}

/* ---- making ---- */

static void
put_octal(char *field, size_t n, uint64_t v)
{
    for (size_t i = n - 1; i-- > 0; v >>= 3)
        field[i] = (char)('0' + (v & 7));
}

void
layers_put_header(struct buf *tar, char type, const char *path, size_t path_n, const char *link,
                  uint64_t size)
{
    char h[512] = {0};
    unsigned sum = 0;

    memcpy(h, path, path_n < 100 ? path_n : 100);
    put_octal(h + 100, 8, type == '5' ? 0755 : 0644);
    put_octal(h + 108, 8, 0);
    put_octal(h + 116, 8, 0);
    put_octal(h + 124, 12, size);
    put_octal(h + 136, 12, 1400000000);
    h[156] = type;
    memcpy(h + 157, link, strlen(link) < 100 ? strlen(link) : 100);
    memcpy(h + 257, "ustar\00000", 8);
    memset(h + 148, ' ', 8);
    for (size_t i = 0; i < sizeof h; i++)
        sum += (unsigned char)h[i];
    put_octal(h + 148, 7, sum);
    buf_put(tar, h, sizeof h);
}

static void
put_data(struct buf *tar, const void *data, size_t n)
{
    static const char zero[512];

    buf_put(tar, data, n);
    buf_put(tar, zero, (512 - n % 512) % 512);
}

void
layers_put_file(struct buf *tar, const char *path, const void *data, size_t n)
{
    layers_put_header(tar, '0', path, strlen(path), "", n);
    put_data(tar, data, n);
}

static void
put_long(struct buf *tar, char type, const char *text)
{
    if (strlen(text) < 100)
        return;
    layers_put_header(tar, type, "././@LongLink", 13, "", strlen(text) + 1);
    put_data(tar, text, strlen(text) + 1);
}

void
layers_put_line(struct buf *tar, const char *line)
{
    static const char kinds[] = "f0d5l2h1p6";
    char *copy = strdup(line + 2), *rest = strchr(copy, ' ');
    char type = strchr(kinds, line[0])[1];
    bool is_link = line[0] == 'l' || line[0] == 'h';

    if (rest != NULL)
        *rest++ = '\0';
    else
        rest = copy + strlen(copy);
    put_long(tar, 'L', copy);
    if (is_link)
        put_long(tar, 'K', rest);
    layers_put_header(tar, type, copy, strlen(copy), is_link ? rest : "",
                      line[0] == 'f' ? strlen(rest) : 0);
    if (line[0] == 'f')
        put_data(tar, rest, strlen(rest));
    free(copy);
}

void
layers_put_end(struct buf *tar)
{
    memset(buf_extend(tar, 1024), 0, 1024);
}

void
layers_gzip(struct buf *out, struct bytes b, int level)
{
    z_stream z = {.next_in = (Bytef *)b.p, .avail_in = (uInt)b.n};
    size_t room;

    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    room = deflateBound(&z, b.n);
    z.next_out = buf_extend(out, room);
    z.avail_out = (uInt)room;
    assert_non_null(z.next_out);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    buf_cut(out, out->n - z.avail_out);
    deflateEnd(&z);
}

int
layers_file(struct bytes b)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    const char *p = b.p;

    assert_true(fd >= 0);
    for (size_t at = 0; at < b.n;) {
        ssize_t n = write(fd, p + at, b.n - at);
        assert_true(n > 0);
        at += (size_t)n;
    }
    return fd;
}

/* The index has what the scan reported. */
static void
expect_info(const struct layer_info *a, const struct layer_info *b)
{
    assert_true(digest_equal(&a->layer, &b->layer) && digest_equal(&a->diff_id, &b->diff_id));
    assert_true(a->layer_size == b->layer_size && a->format == b->format && a->size == b->size);
    assert_true(a->browsable == b->browsable && a->incomplete == b->incomplete);
    assert_true(a->names == b->names && a->files == b->files && a->file_bytes == b->file_bytes);
    assert_true(a->skipped == b->skipped);
    assert_string_equal(a->remark, b->remark);
}

void
layers_add_bytes(struct layers *l, struct bytes blob)
{
    int out = layers_file(bytes_of("", 0));
    struct digest digest;

    assert_true(l->n < LAYERS_MAX);
    digest_of(&digest, DIGEST_SHA256, blob);
    l->blob[l->n] = layers_file(blob);
    if (layer_scan(l->blob[l->n], &digest, out, &l->limits, &l->info[l->n], &l->err) != 0)
        fail_msg("scan: %s", l->err.message);
    l->index[l->n] = layer_index_open(out, &l->err);
    if (l->index[l->n] == NULL)
        fail_msg("open: %s", l->err.message);
    expect_info(&l->info[l->n], layer_index_info(l->index[l->n]));
    l->n++;
    for (size_t i = 0; i < l->n; i++)
        l->top_first[i] = l->index[l->n - 1 - i];
    l->merge = (struct layer_merge){l->top_first, l->n, LAYER_MERGE_STEPS};
}

void
layers_add(struct layers *l, const char *line, ...)
{
    struct buf tar;
    va_list ap;

    buf_init(&tar, TAR_MAX);
    va_start(ap, line);
    for (; line != NULL; line = va_arg(ap, const char *))
        layers_put_line(&tar, line);
    va_end(ap);
    layers_put_end(&tar);
    layers_add_bytes(l, buf_bytes(&tar));
    buf_free(&tar);
}

/* ---- showing ---- */

static int
append(void *arg, struct bytes b, struct err *err)
{
    struct buf *out = arg;

    buf_put(out, b.p, b.n);
    return buf_ok(out) ? 0 : err_set(err, ERR_SYSTEM, "too much");
}

static void
cat(struct layers *l, const struct layer_merge_node *node, struct buf *out)
{
    int blob = l->blob[l->n - 1 - node->layer];

    if (layer_read(blob, l->top_first[node->layer], &node->entry, 0, node->entry.size,
                   &layer_read_defaults, append, out, &l->err) != 0)
        buf_putf(out, "(%s)", l->err.message);
}

static char
letter(const struct layer_entry *e)
{
    if (e->type == LAYER_DIR && (e->flags & LAYER_IMPLICIT) != 0)
        return 'D';
    return "xfdlcbp"[e->type];
}

static void
show(struct layers *l, const struct layer_merge_node *dir, const char *path)
{
    struct layer_merge_list *list = layer_merge_list(&l->merge, dir, bytes_of("", 0), &l->err);
    struct layer_merge_node node;
    int rc;

    if (list == NULL)
        fail_msg("list %s: %s", path, l->err.message);
    while ((rc = layer_merge_next(list, &node, &l->err)) > 0) {
        char *below = NULL;

        assert_true(asprintf(&below, "%s%.*s/", path, (int)node.entry.name.n,
                             (const char *)node.entry.name.p) >= 0);
        buf_putf(&l->text, "%c %.*s", letter(&node.entry), (int)strlen(below) - 1, below);
        if (node.entry.type == LAYER_SYMLINK)
            buf_putf(&l->text, " %.*s", (int)node.entry.link.n, (const char *)node.entry.link.p);
        if (node.entry.type == LAYER_FILE) {
            buf_putc(&l->text, ' ');
            cat(l, &node, &l->text);
        }
        buf_putc(&l->text, '\n');
        if (node.entry.type == LAYER_DIR)
            show(l, &node, below);
        free(below);
    }
    if (rc < 0)
        fail_msg("next in %s: %s", path, l->err.message);
    layer_merge_leave(list);
}

const char *
layers_tree(struct layers *l)
{
    struct layer_merge_node root;

    buf_reset(&l->text);
    if (layer_merge_find(&l->merge, &l->arena, bytes_of("", 0), true, &root, &l->err) != 1)
        fail_msg("no root: %s", l->err.message);
    show(l, &root, "");
    return buf_text(&l->text);
}

static void
show_alone(struct layers *l, struct layer_index *x, uint32_t dir, const char *path)
{
    struct layer_index_list list;
    struct layer_entry e;
    int rc;

    if (layer_index_list(x, dir, bytes_of("", 0), &list, &l->err) != 0)
        fail_msg("list %s: %s", path, l->err.message);
    while ((rc = layer_index_next(&list, &e, &l->err)) > 0) {
        char *below = NULL;

        assert_true(asprintf(&below, "%s%.*s/", path, (int)e.name.n, (const char *)e.name.p) >= 0);
        buf_putf(&l->text, "%c %s%s%.*s\n", letter(&e),
                 (e.flags & LAYER_HIDES_BELOW) != 0 ? "-" : "",
                 (e.flags & LAYER_OPAQUE) != 0 ? "!" : "", (int)strlen(below) - 1, below);
        if (e.type == LAYER_DIR)
            show_alone(l, x, e.dir, below);
        free(below);
    }
    if (rc < 0)
        fail_msg("next in %s: %s", path, l->err.message);
    layer_index_leave(&list);
}

const char *
layers_alone(struct layers *l, size_t i)
{
    buf_reset(&l->text);
    show_alone(l, l->index[i], LAYER_INDEX_ROOT, "");
    return buf_text(&l->text);
}

const char *
layers_cat(struct layers *l, const char *path)
{
    struct layer_merge_node node;
    int rc = layer_merge_find(&l->merge, &l->arena, bytes_str(path), true, &node, &l->err);

    buf_reset(&l->text);
    if (rc > 0)
        cat(l, &node, &l->text);
    else
        buf_putf(&l->text, "(%s)", rc == 0 ? "not there" : l->err.message);
    return buf_text(&l->text);
}
