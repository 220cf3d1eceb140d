#ifndef PROTOCOL_INSIDE_BROWSE_ENTRY_H
#define PROTOCOL_INSIDE_BROWSE_ENTRY_H

#include "domain/inside/browse.h"
#include "util/buf.h"

/* One file, directory or link of an image as JSON: path, type, size, mode, mtime (milliseconds) and
 * image as the original had them, linkname of links, then uid, gid and layer. A path (or linkname)
 * that is no UTF-8 has U+FFFD in it, and all of it in path_b64 (linkname_b64), RFC 4648 4. */

/* path: absolute, without a slash at its end but for the root's. */
void browse_entry_put(struct buf *out, const struct browse_image *im, struct bytes path,
                      const struct layer_merge_node *node);
/* Of that only "path":"...", and path_b64 if need be; a directory's gets its slash. */
void browse_entry_put_path(struct buf *out, struct bytes path, bool dir);

/* No request has a longer path, with a name behind it. */
#define BROWSE_PATH_MAX ((size_t)16 << 10)

/* Room for one: 6 bytes of text for each of a path and of a link, those in base64, and the rest. */
#define BROWSE_ENTRY_MAX ((size_t)256 << 10)

#endif
