#pragma once

#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* NAME:TAG, NAME@DIGEST, or a digest alone, as words of a command. */
struct image_name {
    char repository[RECORD_REPOSITORY_MAX + 1]; /* "": none is named */
    char tag[RECORD_TAG_MAX + 1];               /* "": none */
    struct digest digest;                       /* DIGEST_NONE: a tag is named */
};

/* A digest is sha256:HEX, sha512:HEX or the 64 digits of an image of the first API. The last colon
 * or at sign behind a repository's name counts; a digest begins with its algorithm. */
int image_name_parse(struct image_name *n, const char *text, struct err *err);

/* Finds the digest that the tag names, if there is one, and checks that there is the repository. */
int image_name_find(const struct registry *reg, struct image_name *n, struct err *err);
