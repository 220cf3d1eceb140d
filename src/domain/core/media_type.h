#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The documents that a registry stores under manifests/. */
enum document_kind {
    DOCUMENT_IMAGE, /* config and layers: an image or an artifact */
    DOCUMENT_INDEX, /* a list of manifests */
};

struct media_type {
    const char *name;
    enum document_kind kind;
};

/* The media type of a manifest or an index with that name, or NULL. */
const struct media_type *media_type_find(const char *name);

/* Docker's schema 1, which nobody should push any more. */
bool media_type_is_schema1(const char *name);

/* RFC 6838 4.2: type "/" subtype, 127 bytes each, no parameters. */
bool media_type_is_valid(const char *name);
