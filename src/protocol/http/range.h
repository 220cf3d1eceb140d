#ifndef PROTOCOL_HTTP_RANGE_H
#define PROTOCOL_HTTP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* Range of a download, RFC 9110 14.2. nginx serves ranges, but what it would refuse has to be found
 * out before: it answers 416 also to what the RFC says to ignore, and its 416 keeps the headers of
 * the whole. */
enum range_kind {
    RANGE_GOOD,          /* one range of bytes, and some of them exist: nginx's part */
    RANGE_UNSATISFIABLE, /* one range of bytes, and none of them exists: 416 */
    RANGE_BACKWARDS,     /* RFC 9110 14.2 leaves it to us: the conformance suite of the
                          * distribution-spec wants 416, the first API's clients the whole, since
                          * to them 416 means that they have everything */
    RANGE_IGNORED,       /* several, of another unit, or nonsense: the whole is sent */
};
enum range_kind range_judge(const char *range, uint64_t size);

/* Of a RANGE_GOOD: where it begins, and how many bytes of those that exist. */
void range_take(const char *range, uint64_t size, uint64_t *from, uint64_t *n);

/* Content-Range of an upload's piece in the forms that clients send: "0-99", "bytes 0-99",
 * "bytes=0-99", with or without a total behind a slash. Last is inclusive, the total more than
 * that. False for anything else. */
bool range_parse_content(const char *text, uint64_t *first, uint64_t *last);

#endif
