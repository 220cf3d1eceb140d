#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/digest.h"
#include "util/err.h"

/* The pulls that are not written to the store yet (last_pull.h), in memory that all processes of a
 * server share. Noting a pull writes nothing to the store, and takes no lock.
 *
 * An entry is a repository and the tag or digest that the client named, and the second of its last
 * pull. An entry that was written down stays in its slot until another one needs the slot, so that
 * the next pull finds it. A name has PULL_MEMORY_REACH slots to choose from. If all of them have
 * pulls that are not written down, the pull is forgotten, and pull_memory_forgotten returns the
 * time of that pull. Any process may be killed at any point: that costs nothing but the pull that
 * it was about to note. */

#define PULL_MEMORY_SLOTS 16384 /* 3.5 MiB at the most */
#define PULL_MEMORY_REACH 16

/* The longest name: the text of a digest, which is longer than a tag. */
#define PULL_MEMORY_NAME DIGEST_TEXT_MAX

struct pull_memory {
    struct pull_memory_shared *shared; /* NULL: nothing is noted */
    uint64_t seed;
};

/* Call it before forking the processes that share it. */
int pull_memory_make(struct pull_memory *m, struct err *err);
void pull_memory_close(struct pull_memory *m);

/* Notes a pull, now: clock_wall_ms(). name: a tag, or the text of a digest. Returns true if there
 * are enough pulls that they should be written down soon. */
bool pull_memory_note(const struct pull_memory *m, uint64_t repo, const char *name, uint64_t now);

/* Are there pulls that are not written down? */
bool pull_memory_has_any(const struct pull_memory *m);
/* The same answer as that of pull_memory_note. */
bool pull_memory_is_filling(const struct pull_memory *m);

/* A pull that is not written down. */
struct pull_memory_entry {
    uint64_t repo;
    char name[PULL_MEMORY_NAME];
    uint64_t last; /* the time of the pull, to the second, as clock_wall_ms() */
    size_t slot;
    uint64_t word;
};

/* Finds the next ones, from slot *at on, and moves *at. Returns their number; fewer than max: there
 * are no more. */
size_t pull_memory_read(const struct pull_memory *m, size_t *at, struct pull_memory_entry *v,
                        size_t max);
/* Marks the entry as written down. A later pull of the same name still has to be written down. */
void pull_memory_wrote(const struct pull_memory *m, const struct pull_memory_entry *e);

/* The last time at which a pull was forgotten; 0: never. */
uint64_t pull_memory_forgotten(const struct pull_memory *m);
