#pragma once

#include <stddef.h>
#include "util/arena.h"
#include "util/err.h"

/* The parameters behind the ?, decoded: %XX, and + for a blank. */

#define QUERY_PARAMETERS_MAX 64

struct query {
    struct {
        const char *name;
        const char *value; /* "" for a name without a value */
    } parameters[QUERY_PARAMETERS_MAX];
    size_t n;
};

/* ERR_BAD_REQUEST: a bad escape, a NUL. ERR_TOO_LONG: too many parameters. */
int query_parse(struct query *q, const char *raw, struct arena *arena, struct err *err);

/* The first value of that name, or NULL. */
const char *query_get(const struct query *q, const char *name);
