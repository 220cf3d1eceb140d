#pragma once

#include "domain/core/explain.h"
#include "domain/registry.h"
#include "util/json.h"

/* The edges that keep a digest, and their ends: for the commands explain and show. */

/* A line for each edge, and the verdicts. */
void explain_view_print(const struct registry *reg, const struct explain *x);

/* The same as members of j: kept_by, known_to, counts, manifests, leased_until, verdict. */
void explain_view_set(struct json *j, const struct registry *reg, const struct explain *x);
