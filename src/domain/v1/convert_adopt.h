#ifndef DOMAIN_V1_CONVERT_ADOPT_H
#define DOMAIN_V1_CONVERT_ADOPT_H

#include <stdbool.h>
#include "domain/registry.h"
#include "domain/core/repository.h"
#include "util/err.h"

/* A store from before has tags of v1 images that nobody was told to convert. The keeper goes
 * through all repositories once, and table meta remembers that it did. */
struct convert_adopt {
    bool begun, done;
    struct repository_batch batch; /* where it got to */
    size_t at;
    char tag[RECORD_TAG_MAX + 1]; /* in that repository */
};

/* Some tags of one repository. Zeroed at first; nothing to do once it is done. */
int convert_adopt_step(const struct registry *reg, struct convert_adopt *a, struct err *err);

#endif
