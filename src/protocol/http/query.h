#pragma once

#include <stddef.h>
#include "util/arena.h"
#include "util/err.h"

/* The parameters after the ?, with %XX and + (a blank) decoded. */

#define QUERY_PARAMETERS_MAX 64

struct query {
    struct {
        const char *name;
        const char *value; /* "" for a name without a value */
    } parameters[QUERY_PARAMETERS_MAX];
    size_t n;
};

/* 0, or -1. ERR_BAD_REQUEST: a bad escape or a NUL. ERR_TOO_LONG: too many parameters. */
int query_parse(struct query *q, const char *raw, struct arena *arena, struct err *err);

/* Returns the first value with that name, or NULL. */
const char *query_get(const struct query *q, const char *name);
