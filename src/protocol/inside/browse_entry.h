#pragma once

#include "domain/inside/browse.h"
#include "util/buf.h"

/* One file, directory or link of an image as JSON: path, type, size, mode, mtime (milliseconds) and
 * image as the original had them, linkname for links, then uid, gid and layer. If a path (or
 * linkname) isn't UTF-8, its bad bytes become U+FFFD, and path_b64 (linkname_b64) has all of it
 * (RFC 4648 4). */

/* path: absolute, without a slash at its end, except the root's. */
void browse_entry_put(struct buf *out, const struct browse_image *im, struct bytes path,
                      const struct layer_merge_node *node);
/* Only the "path" of that, and path_b64 if it is needed. A directory's path gets a slash at its
 * end. */
void browse_entry_put_path(struct buf *out, struct bytes path, bool dir);

/* The members path, type, size, mode, mtime and layer of an entry, without braces. layer: the blob
 * that it is in. */
void browse_entry_put_facts(struct buf *out, struct bytes path, const struct layer_entry *e,
                            const struct digest *layer);

/* The longest path of a request, with a name behind it. */
#define BROWSE_PATH_MAX ((size_t)16 << 10)

/* Room for one entry: 6 bytes of text for each byte of a path and of a link, both in base64 too,
 * and the other members. */
#define BROWSE_ENTRY_MAX ((size_t)256 << 10)
