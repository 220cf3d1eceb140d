#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "storage/layers/layer_entry.h"
#include "util/bytes.h"

/* Paths: components of any bytes except NUL, with slashes between. */

/* Maximum of symbolic links on the way to one file. */
#define LAYER_PATH_LINKS_MAX 40

/* Takes the next component off the front. Extra slashes and "." are skipped, ".." is given. Returns
 * false when no component is left. */
bool layer_path_next(struct bytes *rest, struct bytes *name);

/* A clean path: components separated by single slashes, without ".", ".." or a slash at either end.
 * The root is "". */
struct layer_path {
    char text[LAYER_PATH_MAX + 1];
    size_t n;
    unsigned depth; /* number of components */
};

/* Makes a clean path. ".." removes the component before it, and stays at the root; symbolic links
 * are not considered. Returns false when the path or a component is too long. */
bool layer_path_clean(struct layer_path *out, struct bytes path);
/* The offset of the last component. */
size_t layer_path_base(const struct layer_path *p);

/* A path that is being followed, and the links found on the way: the components that are still to
 * be walked. The texts are not copied and must stay valid. */
struct layer_path_walk {
    struct bytes rest[LAYER_PATH_LINKS_MAX + 1];
    unsigned n;
    unsigned links;
};

void layer_path_begin(struct layer_path_walk *w, struct bytes path);
/* Gives the next component, like layer_path_next. */
bool layer_path_step(struct layer_path_walk *w, struct bytes *name);
/* Puts the target of a link in front of the components to be walked. Returns false after too many
 * links. */
bool layer_path_follow(struct layer_path_walk *w, struct bytes link);
