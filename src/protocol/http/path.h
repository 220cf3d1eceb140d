#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/arena.h"
#include "util/bytes.h"
#include "util/err.h"

/* Decodes the path of a request. No other code does, and no path is decoded twice. */

#define PATH_SEGMENTS_MAX 140 /* a name of 255 bytes has at most 128 components */

struct path {
    const char *segments[PATH_SEGMENTS_MAX]; /* decoded; the last is "" after a final slash */
    size_t n;
    /* True if a path inside an image can follow these segments: any bytes except NUL, decoded. That
     * part is `rest` only. */
    bool inside;
    struct bytes rest; /* "", or begins with the slash after the last segment */
};

/* Splits the raw path at "/" and decodes each segment. ERR_BAD_REQUEST: an empty segment except the
 * last, "." or "..", a slash, backslash or control character in a decoded segment, a bad escape, or
 * a path that differs in any byte from the one by which nginx chose the location. So all decisions
 * about a request are based on one path.
 *
 * A file in an image may have any name. So there are no such rules for the part after
 * /v1/images/<id>/ and tree or blobs, or after /v2/<name>/_image/<reference>/ and tree, blobs,
 * stat, archive or layers/<n>/tree. The part before it determines location, handler and rights. */
int path_parse(struct path *p, const char *raw, const char *nginx_path, struct arena *arena,
               struct err *err);

/* Decodes %XX in place, and + if plus is set. Returns the length, or (size_t)-1 for a bad escape.
 */
size_t path_unescape(char *s, size_t n, int plus);
