#ifndef PROTOCOL_INSIDE_BROWSE_VIEW_H
#define PROTOCOL_INSIDE_BROWSE_VIEW_H

#include "domain/inside/browse.h"
#include "protocol/http/call.h"

/* The views of an open image at the path of the call (its `rest`). `im` lives in the call's arena.
 * Each of these functions closes it, at once or when the answer has been sent. */

/* A directory's entries: a JSON array in the byte order of names, made while it is sent. With ?n=
 * it has at most n entries, behind ?last= (a name or path), and a Link to the next page. base: the
 * path of the listed directory's root in this API; the call's `rest` is added to it. */
int browse_view_tree(struct call *c, struct browse_image *im, const char *base, struct err *err);

/* A file's bytes. Links are followed. Serves one range, If-Range, If-None-Match and
 * Last-Modified. */
int browse_view_blob(struct call *c, struct browse_image *im, struct err *err);

/* Headers for a file that a browser may save, but not run: Content-Disposition with that name, and
 * a Content-Security-Policy. */
int browse_view_download(struct call *c, struct bytes name, struct err *err);

/* One entry. A symbolic link at the end is shown itself, unless a slash follows. */
int browse_view_stat(struct call *c, struct browse_image *im, struct err *err);

/* Memory for an image in the call's arena, to be opened and viewed. NULL, with err filled, if the
 * arena is full. */
struct browse_image *browse_view_room(struct call *c, struct err *err);

/* The path of the call, clean: one slash before each component, none at the end, "/" for the root.
 * "." and ".." are folded as in any URL (RFC 3986 5.2.4; most clients do so before they ask),
 * without regard to symbolic links. The result never leads out of the image. It is in the arena. */
int browse_view_path(struct call *c, struct bytes *path, struct err *err);

#endif
