#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The header Range of a download (RFC 9110 14.2). nginx serves ranges. A range that nginx would
 * refuse must be recognized before, since nginx answers 416 even where the RFC says to ignore the
 * header, and its 416 keeps the headers of the whole file. */
#define RANGE_SEVERAL_MAX 1024 /* as in conf/blocks.conf */
enum range_kind {
    RANGE_GOOD,          /* one range of bytes, of which some exist: nginx serves it */
    RANGE_UNSATISFIABLE, /* one range of bytes, of which none exist: 416 */
    RANGE_BACKWARDS,     /* a range that RFC 9110 14.2 lets the server ignore or refuse. The
                          * conformance suite of the distribution-spec wants 416. Clients of the
                          * first API want the whole file, because 416 tells them that they have
                          * everything. */
    RANGE_SEVERAL,       /* up to RANGE_SEVERAL_MAX good ranges, some of which exist: nginx serves
                          * them as multipart/byteranges */
    RANGE_IGNORED,       /* too many ranges, another unit, or nonsense: the whole file is sent */
};
enum range_kind range_judge(const char *range, uint64_t size);

/* For RANGE_GOOD: the first byte of the range, and the number of its bytes that exist. */
void range_take(const char *range, uint64_t size, uint64_t *from, uint64_t *n);

/* Parses Content-Range of a piece of an upload, in the forms that clients send: "0-99", "bytes
 * 0-99", "bytes=0-99", each optionally with a slash and a total, which must be larger than `last`.
 * `last` is inclusive. Returns false for anything else. */
bool range_parse_content(const char *text, uint64_t *first, uint64_t *last);
