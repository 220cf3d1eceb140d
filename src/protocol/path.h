#ifndef PROTOCOL_PATH_H
#define PROTOCOL_PATH_H

#include <stddef.h>
#include "util/arena.h"
#include "util/err.h"

/* The one place where a path from outside is decoded, once. */

#define PATH_SEGMENTS_MAX 140 /* a name of 255 bytes has at most 128 components */

struct path {
    const char *segments[PATH_SEGMENTS_MAX]; /* decoded; the last is "" after a final slash */
    size_t n;
};

/* Splits the raw path on "/" and decodes each segment. Refused (ERR_BAD_REQUEST): empty segments
 * but for the last, "." and "..", slashes, backslashes and control characters in a decoded segment,
 * bad escapes; and a path that isn't, byte for byte, what nginx made of it and chose its location
 * by. So nothing is ever decided on two different paths. */
int path_parse(struct path *p, const char *raw, const char *nginx_path, struct arena *arena,
               struct err *err);

/* Undoes %XX in place, and + when plus is set. Returns the length, or (size_t)-1 for a bad escape.
 */
size_t path_unescape(char *s, size_t n, int plus);

#endif
