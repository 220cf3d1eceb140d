#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/inside/image_label.h"
#include "domain/inside/layer_find.h"
#include "domain/inside/search_tags.h"
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* Looks for the names of files in all images that an actor may pull, for images with a label, or
 * for names in the images with a label. Images of the newest tags come first. Each image is looked
 * at once in a search, under its newest tag; a layer that several images have is read once. The
 * filter of a layer's index tells whether the layer has an exact name, so the search for such a
 * name doesn't read most layers. It doesn't wait for indexes that aren't made yet: the images of
 * such layers are counted as skipped. Images in which the pattern matches 64 MiB of paths are
 * counted as skipped, too.
 *
 * Of an image index, the first 200 images are looked at.
 *
 * Bounds: the newest IMAGE_SEARCH_TAGS tags behind the place, IMAGE_SEARCH_ENTRIES entries of
 * layers, a time, and a number of hits. A search that meets one can be continued. */

#define IMAGE_SEARCH_TAGS 20000
#define IMAGE_SEARCH_ENTRIES UINT64_C(40000000)

struct image_search_hit {
    const char *repository, *tag;
    const struct digest *image;      /* of its manifest */
    const char *platform;            /* "" if it isn't known */
    const char *label;               /* the value of the label; NULL: none is asked for */
    struct bytes path;               /* with a leading slash */
    const struct layer_entry *entry; /* NULL: only a label is asked for */
    const struct digest *layer;
};

struct image_search {
    const struct registry *reg;
    const struct actor *actor;
    const struct layer_pattern *pattern; /* NULL: the images themselves are found */
    struct bytes text;                   /* of that pattern */
    const struct image_label *label;     /* of the images; NULL: any */
    struct search_place after;
    size_t limit;   /* of hits */
    uint64_t until; /* clock_mono_ms(), if no time were needed to list the tags */
    int (*fn)(void *arg, const struct image_search_hit *hit, struct err *err);
    void *arg;

    /* the result */
    bool more;
    struct search_place last; /* with more */
    uint64_t images, skipped;
};

/* 0, or -1: the store can't be read, or fn failed. */
int image_search_run(struct image_search *s, struct err *err);
