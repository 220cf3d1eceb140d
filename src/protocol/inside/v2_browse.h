#pragma once

#include "domain/inside/browse.h"
#include "protocol/http/call.h"

/* /v2/<name>/_image/<tag or digest>/...: looking inside an image. If the reference names an index,
 * ?platform=os/architecture[/variant] chooses the image; the default is linux/amd64, else the first
 * image. */

/* GET .../tree[/<path>]: a directory's entries. */
call_handler v2_browse_tree;
/* GET .../blobs/<path>: a file's bytes. */
call_handler v2_browse_blob;
/* GET .../stat/<path>: one entry. */
call_handler v2_browse_stat;
/* GET .../layers/<n>/tree[/<path>]: the tree of one layer alone. The lowest layer is 0. */
call_handler v2_browse_layer;

/* GET .../history: the origin of each layer, from the first on: an array of created, created_by,
 * size (of the blob), empty, digest, files, hidden_bytes. */
call_handler v2_browse_history;

/* The layer that the call names (its `last`), as an index of im->layers. ERR_NO_FILE: there is no
 * such layer. */
int v2_browse_layer_number(const struct call *c, const struct browse_image *im, size_t *layer,
                           struct err *err);

/* Opens the image that the call names (its name and `first`), or another image of the repository,
 * by a tag or digest. After 0 the caller closes it. */
int v2_browse_open(struct call *c, struct browse_image **im, struct err *err);
int v2_browse_open_other(struct call *c, const char *text, struct browse_image **im,
                         struct err *err);
