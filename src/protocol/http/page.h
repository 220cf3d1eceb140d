#pragma once

#include <stddef.h>
#include "protocol/http/call.h"
#include "util/buf.h"

/* Paging, OCI distribution-spec 1.1 "Listing Tags": ?n= and ?last=, and a Link to the next page. */

#define PAGE_MAX 1000

/* Reads n, limited to PAGE_MAX, which is also the default. ERR_BAD_REQUEST: n isn't a number. */
int page_limit(const struct call *c, size_t *limit, struct err *err);

/* Adds `Link: <path?n=…&last=…>; rel="next"`, relative without --base-url. path needs no escaping.
 */
int page_link(struct call *c, const char *path, size_t limit, const char *last, struct err *err);

/* The same for a `last` of any bytes. more: further parameters ("&name=value", escaped), or "". */
int page_link_more(struct call *c, const char *path, size_t limit, struct bytes last,
                   const char *more, struct err *err);

/* Appends b, escaped for a path or a value. */
void page_escape(struct buf *out, struct bytes b);

/* Appends "&name=value" with the value of that parameter of the request, if it has one. */
void page_put_parameter(const struct call *c, struct buf *out, const char *name);
