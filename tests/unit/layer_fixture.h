#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdbool.h>
#include "domain/inside/layer_merge.h"
#include "storage/layers/layer_index.h"
#include "storage/layers/layer_scan.h"
#include "util/buf.h"
#include "util/err.h"

/* Layers made of lines, and what they look like afterwards. A line is an entry of a tar:
 *
 *   f PATH TEXT      a file        d PATH          a directory
 *   l PATH TARGET    a symlink     h PATH TARGET   a hard link
 *   p PATH           a fifo
 *
 * Everything stays below /tmp in files without a name. */

#define LAYERS_MAX 24

struct layers {
    struct err err;
    int blob[LAYERS_MAX]; /* bottom first */
    struct layer_index *index[LAYERS_MAX];
    struct layer_info info[LAYERS_MAX];
    size_t n;
    struct layer_index *top_first[LAYERS_MAX];
    struct layer_merge merge;
    struct arena arena;
    struct layer_scan_limits limits;
    struct buf text;
};

/* For cmocka_unit_test_setup_teardown. */
int layers_begin(void **state);
int layers_end(void **state);

/* A header of 512 bytes, ustar, with the sum right; type as in the tar. */
void layers_put_header(struct buf *tar, char type, const char *path, size_t path_n,
                       const char *link, uint64_t size);
void layers_put_file(struct buf *tar, const char *path, const void *data, size_t n);
/* Any path and link, by GNU's L and K. */
void layers_put_line(struct buf *tar, const char *line);
/* The end of the archive. */
void layers_put_end(struct buf *tar);

/* Compressed bytes of b, by zlib. level as zlib's. */
void layers_gzip(struct buf *out, struct bytes b, int level);

/* A file without a name that has these bytes. */
int layers_file(struct bytes b);

/* Scans the bytes as the next layer, on top of those before; opens its index. */
void layers_add_bytes(struct layers *l, struct bytes blob);
/* A plain tar of lines; the last one is NULL. */
void layers_add(struct layers *l, const char *line, ...);

/* All of the merged tree, a line for each name in the order of a walk: as above, with the texts of
 * files; implicit directories are 'D', hard links to nothing 'x'. */
const char *layers_tree(struct layers *l);
/* The same for one layer alone, as its index has it, without texts; what hides below is shown with
 * a
 * '-' before the name, opaque directories with a '!'. */
const char *layers_alone(struct layers *l, size_t i);

/* All bytes of a file, or the error's message. */
const char *layers_cat(struct layers *l, const char *path);

#define TREE(l, text) assert_string_equal(layers_tree(l), text)
