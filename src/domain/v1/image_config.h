#ifndef DOMAIN_V1_IMAGE_CONFIG_H
#define DOMAIN_V1_IMAGE_CONFIG_H

#include "util/err.h"
#include "util/json.h"

/* The JSON of a v1 image, as far as it can become an image's config: docker's image specification
 * v1.2, and OCI image-spec config.md, which is read from the same document. Strangers write it, and
 * what clients read into fixed types ends their pull when its type is another. So what says how a
 * container runs has to be of its type, or there is no config; and of what else there is only that
 * stays which is. */

/* Room for what stays of an image's JSON: docker's own have about fifteen members. */
#define IMAGE_CONFIG_MEMBERS_MAX 500

struct image_config_member {
    const char *name;  /* of the document, or ours */
    struct json *json; /* of its own; NULL is null */
};

struct image_config {
    struct image_config_member members[IMAGE_CONFIG_MEMBERS_MAX];
    size_t n;
};

/* All but what names the image, its parent and its layers, and its date, in the order of names;
 * with config, architecture and os, also when it has none. ERR_BAD_IMAGE says which member is
 * wrong. Whatever it returns, image_config_free is due; names are valid as long as v1 is. */
int image_config_read(const struct json *v1, struct image_config *out, struct err *err);
void image_config_free(struct image_config *c);

/* Puts one more into its place. */
void image_config_add(struct image_config *c, const char *name, struct json *json);

/* When it was made, in the form of RFC 3339 that all clients can read; "" when it doesn't say. */
#define IMAGE_CONFIG_DATE_MAX 36
void image_config_created(const struct json *v1, char out[IMAGE_CONFIG_DATE_MAX]);

#endif
