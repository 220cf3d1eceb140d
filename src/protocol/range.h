#ifndef PROTOCOL_RANGE_H
#define PROTOCOL_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* Range of a download, RFC 9110 14.2. nginx serves ranges; what it would answer badly (its own 416
 * keeps the headers of the whole) is found out before. */

/* Is it a single, well-formed range of bytes that nothing of `size` bytes satisfies? */
bool range_is_unsatisfiable(const char *range, uint64_t size);

/* Content-Range of an upload's piece in the forms that clients send: "0-99", "bytes 0-99",
 * "bytes=0-99", with or without a total behind a slash. Last is inclusive. False for anything else.
 */
bool range_parse_content(const char *text, uint64_t *first, uint64_t *last);

#endif
