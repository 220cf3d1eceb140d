#pragma once

#include <stdatomic.h>

/* Shared by the master and a process that has the store open, in memory that survives the process.
 * in_db: the process may hold locks, so if it dies or is killed now, the store must be recovered.
 * The filling sets and clears it; the master sets it before it forks. A filling that needs no
 * recovery leaves it false. */
struct kv_slot {
    atomic_int pid;
    atomic_bool in_db;
    atomic_bool ready;      /* the store is open */
    atomic_ullong since_ms; /* clock_mono_ms() when in_db became true last */
};
