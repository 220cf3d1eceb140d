#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/arena.h"
#include "util/bytes.h"
#include "util/err.h"

/* The installed packages that a package manager has noted in its own file. The author of the image
 * controls these files, so parts that can't be understood are passed over. */

enum package_kind {
    PACKAGE_DEB, /* dpkg(1): /var/lib/dpkg/status, and status.d of images without dpkg */
    PACKAGE_APK, /* apk: lib/apk/db/installed */
};

#define PACKAGES_MAX 10000
/* Bytes of each text; what is longer is cut. */
#define PACKAGE_TEXT_MAX 200
/* Bytes of all texts together. */
#define PACKAGES_TEXTS_MAX ((size_t)4 << 20)

/* All texts are valid UTF-8, and "" where there is none. */
struct package {
    enum package_kind kind;
    const char *name, *architecture, *version, *source;
};

struct packages {
    struct package *v;
    size_t n, room;
    size_t bytes;   /* of the texts */
    bool truncated; /* there are more than may be listed or read */
};

/* Adds the installed packages of a file. Texts are in the arena. 0, or -1: the arena is full. */
int packages_parse(struct packages *p, enum package_kind kind, struct bytes text,
                   struct arena *arena, struct err *err);

/* Sorts by name, kind, architecture and version. */
void packages_sort(struct packages *p);
/* Compares names, kinds and architectures. */
int packages_compare(const struct package *a, const struct package *b);

void packages_free(struct packages *p);
