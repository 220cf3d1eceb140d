#pragma once

#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* Pushes a v1 image: JSON, layer, checksum, in this order. Each step may be repeated, and several
 * clients may push at the same time. After the checksum, or when a tag points to it, an image is
 * never changed. Before that, only the user who pushed its JSON can change it; for others each step
 * is ERR_EXISTS, and also for an id that an image of the second API has. */

/* The longest JSON. */
#define IMAGE_PUSH_JSON_MAX (1024u * 1024)

/* Stores the JSON. ERR_BAD_IMAGE: it isn't a JSON object, it has another id, the parent doesn't
 * exist (it need not have its layer yet), or the chain has a circle or is too long. ERR_TOO_LARGE.
 * ERR_EXISTS: the image is verified, a tag has pointed to it, or see above. A JSON that differs
 * from the stored one detaches the layer from the image. */
int image_push_json(const struct registry *reg, const struct digest *id, struct bytes json,
                    const struct actor *actor, struct err *err);

/* Stores the layer as a blob, from a file that nginx has written. ERR_NO_IMAGE: there is no JSON;
 * ERR_EXISTS as above; ERR_BAD_IMAGE: the layer is empty; ERR_TOO_LARGE. */
int image_push_layer(const struct registry *reg, const struct digest *id, const char *body_file,
                     uint64_t size, const struct actor *actor, struct arena *arena,
                     struct err *err);

/* Likewise, from a file without a name (blob_file_create), which the caller closes. */
int image_push_layer_file(const struct registry *reg, const struct digest *id, int fd,
                          const struct actor *actor, struct arena *arena, struct err *err);

/* Checks the client's checksums of JSON and layer (image_checksum.h). ERR_NO_IMAGE: JSON or layer
 * is missing; ERR_BAD_IMAGE: there is no checksum; ERR_DIGEST_MISMATCH: the image is hidden until
 * its layer or the right checksum is sent. A verified image is not changed. */
int image_push_verify(const struct registry *reg, const struct digest *id, const char *checksum,
                      const char *payload, const struct actor *actor, struct arena *arena,
                      struct err *err);
