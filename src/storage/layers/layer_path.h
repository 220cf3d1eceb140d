#ifndef STORAGE_LAYERS_LAYER_PATH_H
#define STORAGE_LAYERS_LAYER_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include "storage/layers/layer_entry.h"
#include "util/bytes.h"

/* Paths of any bytes but NUL, with components between slashes. */

/* Symbolic links that are followed on the way to one file, at most. */
#define LAYER_PATH_LINKS_MAX 40

/* Takes the next component off the front; slashes and "." are passed over, ".." is given. False: no
 * more. */
bool layer_path_next(struct bytes *rest, struct bytes *name);

/* A clean path: components with single slashes between, no ".", "..", nor slash at the ends. The
 * root is "". */
struct layer_path {
    char text[LAYER_PATH_MAX + 1];
    size_t n;
    unsigned depth; /* components */
};

/* ".." takes back what is before it, and stays at the root. The path is a name alone here: a
 * symbolic link doesn't change where ".." leads. False: it is too long, or a component is. */
bool layer_path_clean(struct layer_path *out, struct bytes path);
/* Where the last component begins. */
size_t layer_path_base(const struct layer_path *p);

/* A path that is being followed, with the links that were found on the way: what is still to be
 * walked. The texts have to stay where they are. */
struct layer_path_walk {
    struct bytes rest[LAYER_PATH_LINKS_MAX + 1];
    unsigned n;
    unsigned links;
};

void layer_path_begin(struct layer_path_walk *w, struct bytes path);
/* The next component, as layer_path_next. */
bool layer_path_step(struct layer_path_walk *w, struct bytes *name);
/* A link comes first now. False: too many. */
bool layer_path_follow(struct layer_path_walk *w, struct bytes link);

#endif
