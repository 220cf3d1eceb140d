#pragma once

#include "domain/core/manifest.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Chooses among the images of an index: the one of the platform that the client names, as
 * os/architecture or os/architecture/variant. If it names none: the one for linux/amd64, else the
 * first for linux, else the first (OCI image-spec image-index.md, "platform").
 *
 * Names are compared as containerd normalises them: x86_64 is amd64, aarch64 and arm64/v8 are
 * arm64, arm is arm/v7, and so on, whoever uses which. Of arm, an older variant is taken if there
 * is none better, since it runs as well. */

struct platform {
    char os[64];
    char architecture[64];
    char variant[64]; /* "": any */
};

/* Normalises it, too. 0, or -1 and ERR_BAD_REQUEST. */
int platform_parse(struct platform *p, const char *text, struct err *err);

struct platform_image {
    struct digest digest; /* of the manifest */
    struct manifest manifest;
    struct bytes document; /* the manifest's bytes */
};

/* The image that a manifest of that repository (its id) is, or leads to. want: NULL for none. Texts
 * are in the arena. Reads files: not in a transaction. 0, or -1: ERR_NO_MANIFEST when the
 * repository has no manifest of that digest; ERR_NO_IMAGE when it neither is an image of that
 * platform nor leads to one. */
int platform_find(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                  const struct platform *want, struct arena *arena, struct platform_image *out,
                  struct err *err);

/* The manifest that an index leads to when no platform is asked for: the index isn't stored yet. 1,
 * 0 (it leads to no image), -1. */
int platform_choose(const struct registry *reg, uint64_t repo, struct bytes index,
                    struct digest *chosen, struct err *err);

/* The bytes of an image's config: 1, 0 (it isn't there, or too large for a config), -1. */
#define PLATFORM_CONFIG_MAX (4u << 20)
int platform_config(const struct registry *reg, const struct digest *config, struct arena *arena,
                    struct bytes *out, struct err *err);
