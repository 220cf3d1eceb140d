#pragma once

#include "util/err.h"
#include "util/json.h"

/* The JSON of a v1 image, as far as it can become an image's config: docker's image specification
 * v1.2, and OCI image-spec config.md, both read from the same document. Strangers write it, and a
 * client's pull fails if a member has another type than the client expects. So a member that says
 * how a container runs must have the right type, or there is no config. Of the other members, those
 * with a wrong type are left out. */

/* Members that are kept of an image's JSON, at most. docker's own JSONs have about fifteen. */
#define IMAGE_CONFIG_MEMBERS_MAX 500

struct image_config_member {
    const char *name;  /* of the document, or ours */
    struct json *json; /* of its own; NULL is null */
};

struct image_config {
    struct image_config_member members[IMAGE_CONFIG_MEMBERS_MAX];
    size_t n;
};

/* The members except those that name the image, its parent, its layers and its date, in the byte
 * order of names; with config, architecture and os even if the JSON has none. ERR_BAD_IMAGE says
 * which member is wrong. Call image_config_free in all cases; the names are valid as long as v1
 * is. */
int image_config_read(const struct json *v1, struct image_config *out, struct err *err);
void image_config_free(struct image_config *c);

/* Adds one more member, in its place. */
void image_config_add(struct image_config *c, const char *name, struct json *json);

/* The date of creation in the form of RFC 3339 that all clients can read; "" if the JSON has
 * none. */
#define IMAGE_CONFIG_DATE_MAX 36
void image_config_created(const struct json *v1, char out[IMAGE_CONFIG_DATE_MAX]);
