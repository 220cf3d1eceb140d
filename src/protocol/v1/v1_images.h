#pragma once

#include "protocol/http/call.h"

/* /v1/images/<id>/..., docker registry API v1. Other clients see an image as soon as its JSON and
 * its layer are here. For reading, the first digits of an id are enough. */

/* GET .../json: its bytes as they came, and headers about the layer: X-Docker-Size,
 * X-Docker-Checksum-Payload (X-Docker-Checksum is the same). A pusher sends the image after a
 * 404. */
call_handler v1_images_get_json;
/* PUT .../json: 200, or 409 for an image that is complete. */
call_handler v1_images_put_json;

/* GET .../layer: as it came, never with a Content-Encoding. A Range that ends behind the layer is
 * cut. A Range that begins at its end is 416 without a body, which tells docker that it has
 * everything. */
call_handler v1_images_get_layer;
call_handler v1_images_put_layer;

/* PUT .../checksum: compares X-Docker-Checksum and X-Docker-Checksum-Payload with the bytes that
 * came. */
call_handler v1_images_put_checksum;

/* GET .../ancestry: the ids from this image to the first. */
call_handler v1_images_get_ancestry;
