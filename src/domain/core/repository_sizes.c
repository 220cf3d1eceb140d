#include "domain/core/repository_sizes.h"
#include <stdatomic.h>
#include <sys/mman.h>

/* Ids are given one after the other, so a place follows from the id itself, and a small store uses
 * few pages of memory. */
#define SIZES_MASK (REPOSITORY_SIZES_SLOTS - 1)
/* Places that an id may have. */
#define SIZES_REACH 64
/* Looks at a table that is published anew meanwhile. */
#define SIZES_TRIES 4

struct sizes_slot {
    _Atomic uint64_t repo; /* 0: free */
    _Atomic uint64_t bytes;
};

struct sizes_table {
    _Atomic size_t end; /* no place from here on is used */
    struct sizes_slot slots[REPOSITORY_SIZES_SLOTS];
};

/* Readers use the table of the lowest bit of `published`, the census fills the other one. */
struct repository_sizes_shared {
    _Atomic uint64_t published; /* how often; 0: never */
    struct sizes_table tables[2];
};

int
repository_sizes_make(struct repository_sizes *s, struct err *err)
{
    void *shared =
        mmap(NULL, sizeof *s->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    s->shared = shared != MAP_FAILED ? shared : NULL;
    return s->shared != NULL ? 0 : err_errno(err, "cannot share memory between the processes");
}

void
repository_sizes_close(struct repository_sizes *s)
{
    if (s->shared != NULL)
        munmap(s->shared, sizeof *s->shared);
    s->shared = NULL;
}

/* ---- counting ---- */

static struct sizes_table *
table_to_fill(const struct repository_sizes *s)
{
    return &s->shared->tables[(atomic_load(&s->shared->published) + 1) & 1];
}

void
repository_sizes_begin(const struct repository_sizes *s)
{
    struct sizes_table *t;
    size_t end;

    if (s == NULL || s->shared == NULL)
        return;
    t = table_to_fill(s);
    end = atomic_load(&t->end);
    for (size_t i = 0; i < end; i++) {
        atomic_store_explicit(&t->slots[i].repo, 0, memory_order_relaxed);
        atomic_store_explicit(&t->slots[i].bytes, 0, memory_order_relaxed);
    }
    atomic_store(&t->end, 0);
}

/* The place of the repository, or a free one; NULL: there is none. */
static struct sizes_slot *
place_of_size(struct sizes_table *t, uint64_t repo)
{
    for (size_t i = 0; i < SIZES_REACH; i++) {
        struct sizes_slot *slot = &t->slots[(repo + i) & SIZES_MASK];
        uint64_t is = atomic_load_explicit(&slot->repo, memory_order_relaxed);

        if (is == repo || is == 0)
            return slot;
    }
    return NULL;
}

void
repository_sizes_add(const struct repository_sizes *s, uint64_t repo, uint64_t bytes)
{
    struct sizes_table *t;
    struct sizes_slot *slot;
    size_t at;

    if (s == NULL || s->shared == NULL)
        return;
    t = table_to_fill(s);
    slot = place_of_size(t, repo);
    if (slot == NULL)
        return;
    at = (size_t)(slot - t->slots);
    if (at >= atomic_load_explicit(&t->end, memory_order_relaxed))
        atomic_store(&t->end, at + 1); /* first, so that it is cleared if we are killed here */
    atomic_store_explicit(&slot->repo, repo, memory_order_relaxed);
    atomic_store_explicit(&slot->bytes,
                          atomic_load_explicit(&slot->bytes, memory_order_relaxed) + bytes,
                          memory_order_relaxed);
}

void
repository_sizes_publish(const struct repository_sizes *s)
{
    if (s != NULL && s->shared != NULL)
        atomic_fetch_add(&s->shared->published, 1);
}

/* ---- asking ---- */

bool
repository_sizes_find(const struct repository_sizes *s, uint64_t repo, uint64_t *bytes)
{
    bool found = false;

    for (unsigned i = 0; s != NULL && s->shared != NULL && i < SIZES_TRIES; i++) {
        uint64_t published = atomic_load(&s->shared->published);
        struct sizes_slot *slot = place_of_size(&s->shared->tables[published & 1], repo);

        if (published == 0)
            return false;
        found = repo != 0 && slot != NULL &&
                atomic_load_explicit(&slot->repo, memory_order_relaxed) == repo;
        *bytes = found ? atomic_load_explicit(&slot->bytes, memory_order_relaxed) : 0;
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load(&s->shared->published) == published)
            return found;
    }
    return false;
}

/* Inserts it, if it is among the largest. Returns their number. */
static size_t
insert_size(struct repository_size *v, size_t n, size_t max, struct repository_size one)
{
    size_t at = n;

    while (at > 0 && v[at - 1].bytes < one.bytes)
        at--;
    if (at == max)
        return n;
    if (n == max)
        n--;
    for (size_t i = n; i > at; i--)
        v[i] = v[i - 1];
    v[at] = one;
    return n + 1;
}

static size_t
find_largest(struct sizes_table *t, struct repository_size *v, size_t max)
{
    size_t end = atomic_load(&t->end), n = 0;

    for (size_t i = 0; i < end; i++) {
        struct repository_size one = {
            atomic_load_explicit(&t->slots[i].repo, memory_order_relaxed),
            atomic_load_explicit(&t->slots[i].bytes, memory_order_relaxed)};

        if (one.repo != 0)
            n = insert_size(v, n, max, one);
    }
    return n;
}

size_t
repository_sizes_largest(const struct repository_sizes *s, struct repository_size *v, size_t max)
{
    for (unsigned i = 0; s != NULL && s->shared != NULL && i < SIZES_TRIES; i++) {
        uint64_t published = atomic_load(&s->shared->published);
        size_t n = published > 0 ? find_largest(&s->shared->tables[published & 1], v, max) : 0;

        atomic_thread_fence(memory_order_acquire);
        if (atomic_load(&s->shared->published) == published)
            return n;
    }
    return 0;
}
