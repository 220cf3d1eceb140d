#ifndef PROTOCOL_PAGE_H
#define PROTOCOL_PAGE_H

#include <stddef.h>
#include "protocol/call.h"

/* Paging, OCI distribution-spec 1.1 "Listing Tags": ?n= and ?last=, and a Link to the next page. */

#define PAGE_MAX 1000

/* n clamped to 0 … PAGE_MAX; PAGE_MAX when it isn't given. ERR_BAD_REQUEST when it is no number. */
int page_limit(const struct call *c, size_t *limit, struct err *err);

/* Adds `Link: <path?n=…&last=…>; rel="next"`, relative without --base-url. path needs no escaping.
 */
int page_link(struct call *c, const char *path, size_t limit, const char *last, struct err *err);

#endif
