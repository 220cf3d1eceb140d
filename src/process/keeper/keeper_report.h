#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include "domain/core/census.h"
#include "process/keeper/herald_client.h"
#include "process/keeper/indexer.h"
#include "process/keeper/node_report.h"
#include "process/server/server.h"

/* The keeper reports on itself and the store in shared memory (domain/metrics): its metrics, and
 * whether the parts of the server are well. All zero at first, but `server` and `reg`. */
struct keeper_report {
    const struct server *server;
    const struct registry *reg;
    uint64_t hooks_ended, layers_ended; /* as they were last */
    uint64_t flights;                   /* kv_flights, as it was counted last */
    uint64_t met_ms;                    /* when the herald was there last */
    struct node_report node;
    bool follows; /* another node leads */
    struct census census;
    bool is_counted;  /* a census has ended */
    bool is_recalled; /* what the last one before this keeper has found was told */
    uint64_t kept_at; /* when its numbers are written down next, clock_mono_ms() */
    struct census_numbers kept;
    struct stat snapshots;         /* the directory, as it was seen last */
    uint64_t asked_ms;             /* when S3 was asked last, clock_mono_ms() */
    bool is_blobs_ill;             /* it didn't answer */
    uint64_t census_ms;            /* how long the steps of this one have taken */
    uint64_t census_at;            /* when it goes on, clock_mono_ms() */
    uint32_t event, counted_event; /* the last one; as it was when the census began */
    uint64_t census_due;           /* without any event, the next one begins then */
};

/* When it has to be called next, clock_mono_ms(), for the census; UINT64_MAX: any time. */
uint64_t keeper_report_due(const struct keeper_report *r);

/* Call it every few seconds; with `looks`, it reads the numbers of the store. In a read-only
 * registry, and in the keeper of a node that follows, both are NULL; with the indexer alone NULL,
 * the keeper stops. True if the database has just heard of this node. */
bool keeper_report_step(struct keeper_report *r, const struct herald_client *herald,
                        const struct indexer *indexer, bool looks);
