#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* The labels of an image, which are in its config (OCI image-spec config.md, "Labels"), and a
 * condition for one of them. */

#define IMAGE_LABEL_MAX 255 /* bytes of a key, and of a value that is asked for */
/* Bytes of a value that are given; the rest of a longer one is left out. */
#define IMAGE_LABEL_SHOWN 4096

struct image_label {
    char key[IMAGE_LABEL_MAX + 1];
    char value[IMAGE_LABEL_MAX + 1];
    bool any; /* any value will do */
};

/* Takes KEY or KEY=VALUE apart. The key ends at the first =. ERR_BAD_REQUEST: it has no key;
 * ERR_TOO_LONG. */
int image_label_parse(struct image_label *l, const char *text, struct err *err);

/* Has the image with this config the label, with that value? 1: *value is it, in the arena, valid
 * UTF-8; 0: no; -1: the config can't be read. */
int image_label_find(const struct registry *reg, const struct image_label *l,
                     const struct digest *config, struct arena *arena, const char **value,
                     struct err *err);
