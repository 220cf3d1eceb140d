#ifndef PROTOCOL_INSIDE_BROWSE_VIEW_H
#define PROTOCOL_INSIDE_BROWSE_VIEW_H

#include "domain/inside/browse.h"
#include "protocol/http/call.h"

/* What is seen of an open image at the path of the call (its `rest`). im lives in the call's arena.
 * Each of these closes it, at once or when the answer has been sent. */

/* A directory's entries, a JSON array sorted by name as bytes, made while it is sent. With ?n= so
 * many, behind ?last=, a name or path, and a Link to the next ones: base is the path of the listed
 * directory's root in this API, to which the call's rest is added. */
int browse_view_tree(struct call *c, struct browse_image *im, const char *base, struct err *err);

/* A file's bytes: links are followed; one range, If-Range, If-None-Match, Last-Modified. */
int browse_view_blob(struct call *c, struct browse_image *im, struct err *err);

/* Headers of what a browser is to keep, and not to run: Content-Disposition with that name, and a
 * Content-Security-Policy. */
int browse_view_download(struct call *c, struct bytes name, struct err *err);

/* One entry; a link at the end is shown itself, unless a slash follows. */
int browse_view_stat(struct call *c, struct browse_image *im, struct err *err);

/* An image in the arena, to be opened and viewed; NULL: no memory. */
struct browse_image *browse_view_room(struct call *c, struct err *err);

/* The path of the call, clean: one slash before each component, none at the end, "/" for the root.
 * "." and ".." are folded as in any URL (RFC 3986 5.2.4; most clients do it before they ask),
 * whatever symbolic links there are, and never lead out. In the arena. */
int browse_view_path(struct call *c, struct bytes *path, struct err *err);

#endif
