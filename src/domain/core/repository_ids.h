#pragma once

#include <stdint.h>

/* The ids that repositories had when this process last read their records. An id is only a guess
 * with which reads are announced together with the record (kv_expect); the record itself is always
 * read, because the repository may be gone, or have been made anew by another server. The number of
 * repositories that are remembered is bounded; the last ones stay. */
struct repository_ids;

struct repository_ids *repository_ids_new(void);
void repository_ids_free(struct repository_ids *ids);

/* In both, ids may be NULL. 0: it isn't known. */
uint64_t repository_ids_guess(const struct repository_ids *ids, const char *name);
void repository_ids_note(struct repository_ids *ids, const char *name, uint64_t id);
