#ifndef PROTOCOL_INSIDE_V2_BROWSE_H
#define PROTOCOL_INSIDE_V2_BROWSE_H

#include "domain/inside/browse.h"
#include "protocol/http/call.h"

/* /v2/<name>/_image/<tag or digest>/...: what is inside an image. Of an index it is the image of
 * ?platform=os/architecture[/variant], else of linux/amd64, else the first. */

/* GET .../tree[/<path>]: a directory's entries. */
call_handler v2_browse_tree;
/* GET .../blobs/<path>: a file's bytes. */
call_handler v2_browse_blob;
/* GET .../stat/<path>: one entry. */
call_handler v2_browse_stat;
/* GET .../layers/<n>/tree[/<path>]: of one layer alone, the lowest is 0. */
call_handler v2_browse_layer;

/* GET .../history: what made each layer, from the first on: an array of created, created_by, size
 * (of the blob), empty, digest, files, hidden_bytes. */
call_handler v2_browse_history;

/* The image that a call means (its name and `first`), open; it has to be closed after 0. */
int v2_browse_open(struct call *c, struct browse_image **im, struct err *err);

#endif
