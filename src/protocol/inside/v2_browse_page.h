#pragma once

#include "domain/inside/browse.h"
#include "protocol/http/call.h"
#include "util/buf.h"

/* A page of entries of an image (browse_entry.h), as a JSON array: of at most ?n= entries
 * (protocol/http/page.h), or fewer if they are very long. */

struct v2_browse_page {
    struct browse_image *im;
    size_t limit;
    struct buf text;
    struct buf last; /* the path that the next page begins behind, with a slash before it */
};

/* Answers for the image that the request names: fill puts the entries, and perhaps the link. */
int v2_browse_page_answer(struct call *c,
                          int (*fill)(struct call *c, struct v2_browse_page *p, struct err *err),
                          struct err *err);

/* path: without a leading slash. more: further members (",\"name\":value"), or "". Returns 0, 1 if
 * the page is full, or -1. */
int v2_browse_page_put(struct v2_browse_page *p, struct bytes path,
                       const struct layer_merge_node *node, const char *more, struct err *err);

/* The path that the page begins behind, ?last=, without slashes around it. */
struct bytes v2_browse_page_after(const struct call *c);

/* Adds the Link to what follows p->last, with the parameters name and platform of this request. */
int v2_browse_page_link(struct call *c, const struct v2_browse_page *p, const char *path,
                        struct err *err);
