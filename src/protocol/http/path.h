#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/arena.h"
#include "util/bytes.h"
#include "util/err.h"

/* The one place where a path from outside is decoded, once. */

#define PATH_SEGMENTS_MAX 140 /* a name of 255 bytes has at most 128 components */

struct path {
    const char *segments[PATH_SEGMENTS_MAX]; /* decoded; the last is "" after a final slash */
    size_t n;
    /* Behind these segments the path may lead on inside an image: any bytes but NUL, decoded. That
     * part isn't in `segments`. */
    bool inside;
    struct bytes rest; /* "", or the part from the slash behind the last segment on */
};

/* Splits the raw path on "/" and decodes each segment. Refused (ERR_BAD_REQUEST): empty segments
 * except the last, "." and "..", slashes, backslashes and control characters in a decoded segment,
 * bad escapes, and a path that doesn't equal, byte for byte, the one by which nginx chose the
 * location. So nothing is ever decided on two different paths.
 *
 * A file in an image may have any name. So the part behind /v1/images/<id>/ and tree or blobs, or
 * behind /v2/<name>/_image/<reference>/ and tree, blobs, stat, archive or layers/<n>/tree, may be
 * anything. Location, handler and rights are chosen by the part before it, to which all of the
 * above applies. */
int path_parse(struct path *p, const char *raw, const char *nginx_path, struct arena *arena,
               struct err *err);

/* Undoes %XX in place, and + when plus is set. Returns the length, or (size_t)-1 for a bad escape.
 */
size_t path_unescape(char *s, size_t n, int plus);
