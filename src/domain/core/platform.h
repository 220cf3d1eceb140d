#pragma once

#include "domain/core/manifest.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Chooses an image from an index by the platform that the client names: os/architecture or
 * os/architecture/variant. Without a name it is the image for linux/amd64, else the first for
 * linux, else the first (OCI image-spec image-index.md, "platform").
 *
 * Both names are normalised as in containerd: x86_64 is amd64, aarch64 and arm64/v8 are arm64, arm
 * is arm/v7, and so on. An older variant of amd64, arm or arm64 is taken if there is no better one,
 * since it runs as well, but never a later one. The other architectures that containerd takes then
 * (386 for amd64, arm for arm64) are not: they are other images. */

struct platform {
    char os[64];
    char architecture[64];
    char variant[64]; /* "": none; of amd64 v1, of arm64 v8 */
};

/* Parses and normalises a platform. 0, or -1 and ERR_BAD_REQUEST. */
int platform_parse(struct platform *p, const char *text, struct err *err);

/* That of a config, or of an entry of an index; all texts are "" if there is none. */
struct json;
void platform_read(struct platform *p, const struct json *is);

#define PLATFORM_TEXT_MAX 200
/* "linux/arm/v7". */
void platform_text(char out[PLATFORM_TEXT_MAX], const struct platform *p);

struct platform_image {
    struct digest digest; /* of the manifest */
    struct manifest manifest;
    struct bytes document; /* the manifest's bytes */
};

/* Finds the image that a manifest is or, if it is an index, leads to. repo: the repository's id.
 * want: NULL: no platform is named. Texts are in the arena. Reads files, so it must not be called
 * in a transaction. 0, or -1. ERR_NO_MANIFEST: the repository has no manifest of that digest.
 * ERR_NO_IMAGE: there is no image of that platform. ERR_TOO_LARGE: too much would have to be read
 * to find it. */
int platform_find(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                  const struct platform *want, struct arena *arena, struct platform_image *out,
                  struct err *err);

/* The same without a platform, for the bytes of an index that isn't stored yet: *chosen is the
 * manifest of the image. 1, 0 (there is none, or too much would have to be read to find it), -1. */
int platform_choose(const struct registry *reg, uint64_t repo, struct bytes index,
                    struct digest *chosen, struct err *err);
