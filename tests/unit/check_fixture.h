#pragma once

#include "store_fixture.h"
#include "domain/check/check.h"
#include "domain/core/quota.h"

/* A store with something of everything, and checks of it. */

struct store {
    struct fixture *f;
    uint64_t repo;
    struct digest config, layer, manifest, index, lone, v1_layer;
    char upload[RECORD_UPLOAD_ID_MAX];
};

/* Two quotas, for a/... and for all. */
extern struct quotas check_fixture_quotas;

void check_fixture_fill(struct fixture *f, struct store *s);

/* A manifest of an image that can be run, unlike those of fixture_image. */
const char *check_fixture_image(struct fixture *f, const struct digest *config,
                                const struct digest *layer);

struct looked {
    const char *kind; /* that is looked for */
    bool found;
    char all[4096];
};

/* Returns the number of findings. */
uint64_t check_fixture_run(struct fixture *f, bool repair, struct looked *l);

/* Fails the test if there are findings. */
void check_fixture_clean(struct fixture *f, const char *after);
