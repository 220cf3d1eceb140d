#pragma once

#include "domain/metrics/metrics.h"
#include "util/buf.h"

/* The numbers in Prometheus' text format, version 0.0.4. */

/* The routes of METRIC_REQUESTS and METRIC_DURATION. */
struct metrics_routes {
    const void *table;
    unsigned n;
    const char *(*pattern)(const void *table, unsigned i); /* its label ends before a "?" */
    unsigned (*methods)(const void *table, unsigned i);    /* of enum http_method */
};

#define METRICS_TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
/* More than the text can have. */
#define METRICS_TEXT_MAX (1u << 20)

/* Series of requests that were never counted are left out, and so are metrics that aren't known. */
void metrics_text(const struct metrics_numbers *v, const struct metrics_routes *routes,
                  struct buf *out);
