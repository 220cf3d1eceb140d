#pragma once

#include "protocol/http/call.h"

/* /v1/images/<id>/..., docker registry API v1. An image is visible as soon as its JSON and its
 * layer are stored. Reading requests may abbreviate the id to its first digits. */

/* GET .../json: the stored bytes, and headers about the layer: X-Docker-Size,
 * X-Docker-Checksum-Payload (X-Docker-Checksum is the same). After a 404, a client pushes the
 * image. */
call_handler v1_images_get_json;
/* PUT .../json: 200, or 409 for an image that is complete. */
call_handler v1_images_put_json;

/* GET .../layer: the stored bytes, never with a Content-Encoding. A Range that ends after the layer
 * is cut. A Range that begins at its end is 416 without a body, which tells docker that it has
 * everything. */
call_handler v1_images_get_layer;
call_handler v1_images_put_layer;

/* PUT .../checksum: compares X-Docker-Checksum and X-Docker-Checksum-Payload with the bytes. */
call_handler v1_images_put_checksum;

/* GET .../ancestry: the ids from this image to the first. */
call_handler v1_images_get_ancestry;
