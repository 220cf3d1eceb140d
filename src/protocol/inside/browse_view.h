#pragma once

#include "domain/inside/browse.h"
#include "protocol/http/call.h"

/* The views of an open image at the path of the call (its `rest`). `im` lives in the call's arena.
 * Each of these functions closes it, at once or when the answer has been sent. */

/* A directory's entries: a JSON array in the byte order of names, made while it is sent. With ?n=
 * it has at most n entries, behind ?last= (a name or path), and a Link to the next page. base: the
 * path of the listed directory's root in this API; the call's `rest` is added to it. */
int browse_view_tree(struct call *c, struct browse_image *im, const char *base, struct err *err);

/* One entry. A symbolic link at the end is shown itself, unless a slash follows. */
int browse_view_stat(struct call *c, struct browse_image *im, struct err *err);

/* Memory for an image in the call's arena, to be opened and viewed. NULL, with err filled, if the
 * arena is full. */
struct browse_image *browse_view_room(struct call *c, struct err *err);

/* The path of the call, clean: one slash before each component, none at the end, "/" for the root.
 * "." and ".." are folded as in any URL (RFC 3986 5.2.4; most clients do so before they ask),
 * without regard to symbolic links. The result never leads out of the image. It is in the arena. */
int browse_view_path(struct call *c, struct bytes *path, struct err *err);

/* Does the path of the call end with a slash? It then names a directory, or nothing. */
bool browse_view_wants_directory(const struct call *c);

/* Finds the entry at a clean path; links are followed. ERR_NO_FILE: there is none. */
int browse_view_find(struct browse_image *im, struct arena *arena, struct bytes path,
                     struct layer_merge_node *node, struct err *err);

/* ERR_NO_FILE: the path is of another kind than the request needs. kind: "a device", for example.
 */
int browse_view_refuse(struct bytes path, const char *kind, struct err *err);
