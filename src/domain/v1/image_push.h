#pragma once

#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* Pushing a v1 image: JSON, layer, checksum, in this order. Each step may be repeated, and several
 * clients may do it at the same time. After the checksum, or as soon as a tag points to it, an
 * image isn't changed any more. Before, only the user who pushed its JSON may change it: each step
 * is ERR_EXISTS for others. So it is for an id that an image of the second API has. */

/* The longest JSON. */
#define IMAGE_PUSH_JSON_MAX (1024u * 1024)

/* Stores the JSON. ERR_BAD_IMAGE: it is no JSON object, it has another id, the parent doesn't exist
 * (it may still lack its layer), the chain has a circle or is too long. ERR_TOO_LARGE. ERR_EXISTS:
 * the image is verified, a tag has pointed to it, or it is another's (see above). A JSON that
 * differs from the stored one detaches the layer from the image. */
int image_push_json(const struct registry *reg, const struct digest *id, struct bytes json,
                    const struct actor *actor, struct err *err);

/* Stores the layer, from a file that nginx has written. It becomes a blob, and is stored once.
 * ERR_NO_IMAGE without a JSON, ERR_EXISTS as above, ERR_BAD_IMAGE (no bytes at all),
 * ERR_TOO_LARGE. */
int image_push_layer(const struct registry *reg, const struct digest *id, const char *body_file,
                     uint64_t size, const struct actor *actor, struct arena *arena,
                     struct err *err);

/* Likewise, from a file without a name (blob_file_create), which the caller closes. */
int image_push_layer_file(const struct registry *reg, const struct digest *id, int fd,
                          const struct actor *actor, struct arena *arena, struct err *err);

/* Checks the client's checksums of JSON and layer (image_checksum.h). ERR_NO_IMAGE without JSON and
 * layer; ERR_BAD_IMAGE: there is no checksum; ERR_DIGEST_MISMATCH: the image becomes invisible
 * until its layer or the right checksum is sent, unless it was verified before. For a verified
 * image this changes nothing. */
int image_push_verify(const struct registry *reg, const struct digest *id, const char *checksum,
                      const char *payload, const struct actor *actor, struct arena *arena,
                      struct err *err);
