#include "domain/retention/pull_memory.h"
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include "util/random.h"

/* The state of a slot is one word, so that it changes as a whole:
 *
 *     bits 0 to 39    the second of the last pull that is not written down; 0: there is none
 *     bit 40          the slot's entry is being written, since that second
 *     bits 41 to 63   how often the slot was taken
 *
 * 0 means that the slot was never used. An entry is only read or believed between two looks at the
 * same word. */
#define WORD_TIME ((UINT64_C(1) << 40) - 1)
#define WORD_BUSY (UINT64_C(1) << 40)
#define WORD_TAKEN (UINT64_C(1) << 41)

/* A process that takes longer to write an entry was killed. */
#define BUSY_MAX_S 60

/* Tries of a pull whose slots change meanwhile. */
#define NOTE_TRIES 8

/* The number of waiting pulls from which on they should be written down: a pull is then forgotten
 * once in some millions. */
#define FILLING (PULL_MEMORY_SLOTS / 8)

struct pull_memory_slot {
    _Atomic uint64_t hash;
    uint64_t repo;
    char name[PULL_MEMORY_NAME];
};

struct pull_memory_shared {
    atomic_long waiting; /* slots with pulls that are not written down, about */
    _Atomic uint64_t forgotten;
    _Atomic uint64_t words[PULL_MEMORY_SLOTS]; /* apart, because they are read through often */
    struct pull_memory_slot slots[PULL_MEMORY_SLOTS];
};

int
pull_memory_make(struct pull_memory *m, struct err *err)
{
    void *shared =
        mmap(NULL, sizeof *m->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    *m = (struct pull_memory){.shared = shared != MAP_FAILED ? shared : NULL, .seed = random_u64()};
    return m->shared != NULL ? 0 : err_errno(err, "cannot share memory between the workers");
}

void
pull_memory_close(struct pull_memory *m)
{
    if (m->shared != NULL)
        munmap(m->shared, sizeof *m->shared);
    m->shared = NULL;
}

/* ---- names ---- */

static uint64_t
mix_pull_name(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

static uint64_t
hash_pull_name(const struct pull_memory *m, uint64_t repo, const char *name, size_t n)
{
    uint64_t h = mix_pull_name(m->seed, repo + n), part;

    for (; n > 0; name += sizeof part, n -= sizeof part) {
        part = 0;
        memcpy(&part, name, n < sizeof part ? n : sizeof part);
        h = mix_pull_name(h, part);
        if (n <= sizeof part)
            break;
    }
    return mix_pull_name(h, h >> 32);
}

struct pull_note {
    uint64_t hash, repo, second;
    const char *name;
    size_t n;
};

static bool
is_slot_of(const struct pull_memory_slot *s, const struct pull_note *note)
{
    return atomic_load(&s->hash) == note->hash && s->repo == note->repo &&
           memcmp(s->name, note->name, note->n + 1) == 0;
}

/* ---- noting ---- */

static bool
is_word_free(uint64_t word, uint64_t second)
{
    if ((word & WORD_BUSY) != 0)
        return (word & WORD_TIME) + BUSY_MAX_S < second;
    return (word & WORD_TIME) == 0;
}

static bool
change_word(struct pull_memory_shared *s, size_t at, uint64_t from, uint64_t to)
{
    return atomic_compare_exchange_strong(&s->words[at], &from, to);
}

/* Takes a slot that another entry had, or none. False: another process was faster. */
static bool
take_slot(struct pull_memory_shared *s, size_t at, uint64_t word, const struct pull_note *note)
{
    uint64_t taken = (word & ~(WORD_TAKEN - 1)) + WORD_TAKEN; /* overflows, which does no harm */
    struct pull_memory_slot *slot = &s->slots[at];

    taken |= note->second;
    if (!change_word(s, at, word, taken | WORD_BUSY))
        return false;
    atomic_store(&slot->hash, note->hash);
    slot->repo = note->repo;
    memcpy(slot->name, note->name, note->n + 1);
    if (change_word(s, at, taken | WORD_BUSY, taken))
        atomic_fetch_add(&s->waiting, 1);
    return true;
}

/* 1: noted; 0: the slots have changed meanwhile; -1: none is free. */
static int
note_once(struct pull_memory_shared *s, const struct pull_note *note)
{
    size_t at, free_at = PULL_MEMORY_SLOTS;
    uint64_t word, free_word = 0;

    for (size_t i = 0; i < PULL_MEMORY_REACH; i++) {
        at = (note->hash + i) % PULL_MEMORY_SLOTS;
        word = atomic_load(&s->words[at]);
        if (word != 0 && (word & WORD_BUSY) == 0 && is_slot_of(&s->slots[at], note)) {
            if ((word & WORD_TIME) >= note->second)
                return 1;
            if (!change_word(s, at, word, (word & ~WORD_TIME) | note->second))
                return 0;
            if ((word & WORD_TIME) == 0)
                atomic_fetch_add(&s->waiting, 1);
            return 1;
        }
        if (free_at == PULL_MEMORY_SLOTS && is_word_free(word, note->second)) {
            free_at = at;
            free_word = word;
        }
        if (word == 0)
            break;
    }
    if (free_at == PULL_MEMORY_SLOTS)
        return -1;
    return take_slot(s, free_at, free_word, note);
}

bool
pull_memory_note(const struct pull_memory *m, uint64_t repo, const char *name, uint64_t now)
{
    struct pull_note note = {.repo = repo, .second = now / 1000, .name = name, .n = strlen(name)};
    int rc = 0;

    if (m == NULL || m->shared == NULL || note.n >= PULL_MEMORY_NAME)
        return false;
    note.hash = hash_pull_name(m, repo, name, note.n);
    for (int i = 0; i < NOTE_TRIES && rc == 0; i++)
        rc = note_once(m->shared, &note);
    if (rc != 1 && atomic_load(&m->shared->forgotten) < now)
        atomic_store(&m->shared->forgotten, now);
    return pull_memory_is_filling(m);
}

/* ---- writing down ---- */

bool
pull_memory_has_any(const struct pull_memory *m)
{
    return m != NULL && m->shared != NULL && atomic_load(&m->shared->waiting) > 0;
}

bool
pull_memory_is_filling(const struct pull_memory *m)
{
    return m != NULL && m->shared != NULL && atomic_load(&m->shared->waiting) >= FILLING;
}

static bool
read_slot(const struct pull_memory *m, size_t at, struct pull_memory_entry *e)
{
    struct pull_memory_shared *s = m->shared;
    const struct pull_memory_slot *slot = &s->slots[at];
    uint64_t word = atomic_load(&s->words[at]), hash;

    if ((word & WORD_BUSY) != 0 || (word & WORD_TIME) == 0)
        return false;
    *e = (struct pull_memory_entry){
        .repo = slot->repo, .last = (word & WORD_TIME) * 1000, .slot = at, .word = word};
    memcpy(e->name, slot->name, sizeof e->name);
    e->name[sizeof e->name - 1] = '\0';
    hash = atomic_load(&slot->hash);
    if (atomic_load(&s->words[at]) != word)
        return false;
    if (hash_pull_name(m, e->repo, e->name, strlen(e->name)) == hash)
        return true;
    /* A process was stopped while it wrote, for longer than BUSY_MAX_S. */
    pull_memory_wrote(m, e);
    return false;
}

size_t
pull_memory_read(const struct pull_memory *m, size_t *at, struct pull_memory_entry *v, size_t max)
{
    size_t n = 0;

    if (m == NULL || m->shared == NULL)
        return 0;
    for (; *at < PULL_MEMORY_SLOTS && n < max; ++*at)
        n += read_slot(m, *at, &v[n]);
    return n;
}

void
pull_memory_wrote(const struct pull_memory *m, const struct pull_memory_entry *e)
{
    if (change_word(m->shared, e->slot, e->word, e->word & ~WORD_TIME))
        atomic_fetch_sub(&m->shared->waiting, 1);
}

uint64_t
pull_memory_forgotten(const struct pull_memory *m)
{
    return m != NULL && m->shared != NULL ? atomic_load(&m->shared->forgotten) : 0;
}
