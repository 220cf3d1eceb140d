#pragma once

#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* A v1 image on its way in: JSON, layer, checksum, in this order. Each step may be repeated after a
 * break, and by several clients at once. From the checksum on, or as soon as a tag leads to it, an
 * image isn't changed any more. */

/* The longest JSON. */
#define IMAGE_PUSH_JSON_MAX (1024u * 1024)

/* ERR_BAD_IMAGE: no JSON object, another id in it, a parent that isn't here (one that has no layer
 * yet is), a circle, too long a chain. ERR_TOO_LARGE. ERR_EXISTS: it is complete. Other JSON than
 * before takes the layer away from the image. */
int image_push_json(const struct registry *reg, const struct digest *id, struct bytes json,
                    const struct actor *actor, struct err *err);

/* The layer, in a file that nginx has written. It becomes a blob, and is not kept twice.
 * ERR_NO_IMAGE without a JSON, ERR_EXISTS, ERR_BAD_IMAGE (no bytes at all), ERR_TOO_LARGE. */
int image_push_layer(const struct registry *reg, const struct digest *id, const char *body_file,
                     uint64_t size, const struct actor *actor, struct arena *arena,
                     struct err *err);

/* The same of a file that has no name yet (blob_file_create), which stays the caller's to close. */
int image_push_layer_file(const struct registry *reg, const struct digest *id, int fd,
                          const struct actor *actor, struct arena *arena, struct err *err);

/* What the client says of JSON and layer (domain/v1/image_checksum.h). ERR_NO_IMAGE without JSON
 * and layer; ERR_BAD_IMAGE: it says nothing; ERR_DIGEST_MISMATCH: the image can't be seen any more,
 * until its layer comes again or the right checksum, unless it was complete before. Said again of a
 * complete image, right or wrong, it changes nothing. */
int image_push_verify(const struct registry *reg, const struct digest *id, const char *checksum,
                      const char *payload, const struct actor *actor, struct arena *arena,
                      struct err *err);
