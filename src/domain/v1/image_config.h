#pragma once

#include "util/err.h"
#include "util/json.h"

/* Reads the JSON of a v1 image, to make an image's config from it (docker's image specification
 * v1.2, and OCI image-spec config.md). The JSON isn't trusted, and a pull fails if a member has
 * another type than the client expects. So a member that says how a container runs must have the
 * right type, otherwise there is no config. Other members of a wrong type are left out. */

/* The most members that are kept of a JSON. docker's have about fifteen. */
#define IMAGE_CONFIG_MEMBERS_MAX 500

struct image_config_member {
    const char *name;  /* points into the document, or to a constant */
    struct json *json; /* a copy; NULL is null */
};

struct image_config {
    struct image_config_member members[IMAGE_CONFIG_MEMBERS_MAX];
    size_t n;
};

/* Reads all members, in the byte order of names, except those that name the image, its parent, its
 * layers and its date. config, architecture and os are added if they are missing. ERR_BAD_IMAGE:
 * the message names the wrong member. Call image_config_free also after a failure. The names are
 * valid as long as v1. */
int image_config_read(const struct json *v1, struct image_config *out, struct err *err);
void image_config_free(struct image_config *c);

/* Adds a member at its place in the order. */
void image_config_add(struct image_config *c, const char *name, struct json *json);

/* The date of creation, in RFC 3339 as all clients can read it; "" if the JSON has none. */
#define IMAGE_CONFIG_DATE_MAX 36
void image_config_created(const struct json *v1, char out[IMAGE_CONFIG_DATE_MAX]);
