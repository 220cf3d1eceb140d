#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/err.h"

/* Can this server do its work? The keeper tells, in shared memory, when each part of the server was
 * well last, and another process decides, without a look into the database: it has an answer even
 * when the database has none. All zero at first: nothing was well yet. */

enum readiness_part {
    READINESS_DATABASE, /* answers, and files can be made in all directories */
    READINESS_DISK,     /* room for pushes */
    READINESS_KEEPER,   /* lives */
    READINESS_INDEXER,  /* has nothing to do, or gets on */
    READINESS_HOOKS,    /* likewise, with events and hooks */
    READINESS_BLOBS,    /* S3 answers */
    READINESS_PARTS,
};

/* The longest reason, with the NUL. */
#define READINESS_WHY_MAX ERR_MESSAGE_MAX

struct readiness {
    struct readiness_told {
        atomic_ullong well_ms; /* clock_mono_ms() */
        atomic_uint version;   /* odd while `why` is written */
        char why[READINESS_WHY_MAX];
    } told[READINESS_PARTS];
    char loss[READINESS_WHY_MAX];               /* of the database; "": none */
    atomic_ullong patience_ms[READINESS_PARTS]; /* how long it may be not well;
                                                 * UINT64_MAX: it isn't looked at */
};

/* The keeper's side, by one process. A part is ill after readiness_tell_ill, whose `why` is a text
 * for people, or if readiness_tell_well isn't called for as long as the part's patience. r NULL:
 * these do nothing. */
void readiness_set_patience(struct readiness *r, enum readiness_part part, uint64_t ms);
void readiness_tell_well(struct readiness *r, enum readiness_part part);
void readiness_tell_ill(struct readiness *r, enum readiness_part part, const char *why);

/* To be called while no other process has the database open: notes the loss that a recovery has
 * found. The database is ill until another recovery finds it whole. */
void readiness_note_loss(struct readiness *r, const char *why);

/* The name of a part, in the answer of /readyz. */
const char *readiness_name(enum readiness_part part);

/* True if the part is well; else `why` says what is wrong. dirfd: the data directory. */
bool readiness_is_well(struct readiness *r, enum readiness_part part, int dirfd,
                       char why[READINESS_WHY_MAX]);
