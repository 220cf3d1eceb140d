#ifndef PROTOCOL_HTTP_PATH_H
#define PROTOCOL_HTTP_PATH_H

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
    /* Behind these segments the path is one inside of an image: any bytes but NUL, decoded. It
     * isn't part of `segments`. */
    bool inside;
    struct bytes rest; /* "" or what begins with the slash behind the last segment */
};

/* Splits the raw path on "/" and decodes each segment. Refused (ERR_BAD_REQUEST): empty segments
 * but for the last, "." and "..", slashes, backslashes and control characters in a decoded segment,
 * bad escapes; and a path that isn't, byte for byte, what nginx made of it and chose its location
 * by. So nothing is ever decided on two different paths.
 *
 * What files in an image are called is the image's business. So what follows /v1/images/<id>/ and
 * tree or blobs, or /v2/<name>/_image/<reference>/ and tree, blobs, stat, archive or
 * layers/<n>/tree, may be anything; the location, the handler and the rights are chosen by what is
 * before it, of which all of the above is true. */
int path_parse(struct path *p, const char *raw, const char *nginx_path, struct arena *arena,
               struct err *err);

/* Undoes %XX in place, and + when plus is set. Returns the length, or (size_t)-1 for a bad escape.
 */
size_t path_unescape(char *s, size_t n, int plus);

#endif
