#include "util/digest_thread.h"
#include <pthread.h>
#include <stdbool.h>
#include "util/mem.h"

#define SLOTS 8
#define SLOT_SIZE ((size_t)256 << 10)

struct slot {
    size_t n;
    char bytes[SLOT_SIZE];
};

/* A ring: the caller fills `head`, the thread empties `tail`. The thread is started when the first
 * slot is full, so that a few bytes cost neither a thread nor the memory of the ring. */
struct digest_thread {
    struct digest_state *state;
    pthread_t thread;
    bool tried, threaded; /* to start the thread; it runs */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned head, tail; /* slots since the beginning; both may overflow */
    bool over;
    struct slot *slots[SLOTS]; /* allocated on first use */
};

static void *
hash_pieces(void *arg)
{
    struct digest_thread *t = arg;

    pthread_mutex_lock(&t->lock);
    for (;;) {
        struct slot *s;

        while (t->tail == t->head && !t->over)
            pthread_cond_wait(&t->changed, &t->lock);
        if (t->tail == t->head)
            break;
        s = t->slots[t->tail % SLOTS];
        pthread_mutex_unlock(&t->lock);
        digest_update(t->state, s->bytes, s->n);
        pthread_mutex_lock(&t->lock);
        t->tail++;
        pthread_cond_signal(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

struct digest_thread *
digest_thread_begin(enum digest_algo algo)
{
    struct digest_thread *t = mem_alloc(sizeof *t);

    t->state = digest_begin(algo);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    return t;
}

/* The slot that is being filled. */
static struct slot *
head_slot(struct digest_thread *t)
{
    struct slot **s = &t->slots[t->head % SLOTS];

    if (*s == NULL) {
        *s = mem_resize(NULL, 1, sizeof **s);
        (*s)->n = 0;
    }
    return *s;
}

/* Gives the slot that is being filled to the thread, and goes on with the next one. */
static void
pass_slot(struct digest_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->head++;
    pthread_cond_signal(&t->changed);
    while (t->head - t->tail >= SLOTS)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    head_slot(t)->n = 0;
}

/* Hashes the full slot, by the thread if there is one. */
static void
hash_slot(struct digest_thread *t)
{
    struct slot *s = head_slot(t);

    if (!t->tried) {
        t->tried = true;
        t->threaded = pthread_create(&t->thread, NULL, hash_pieces, t) == 0;
    }
    if (t->threaded) {
        pass_slot(t);
        return;
    }
    digest_update(t->state, s->bytes, s->n);
    s->n = 0;
}

void
digest_thread_update(struct digest_thread *t, const void *p, size_t n)
{
    const char *from = p;

    while (n > 0) {
        struct slot *s = head_slot(t);
        size_t part = SLOT_SIZE - s->n < n ? SLOT_SIZE - s->n : n;

        memcpy(s->bytes + s->n, from, part);
        s->n += part;
        from += part;
        n -= part;
        if (s->n == SLOT_SIZE)
            hash_slot(t);
    }
}

void
digest_thread_end(struct digest_thread *t, struct digest *d)
{
    const struct slot *rest = t->slots[t->head % SLOTS];

    if (t->threaded) {
        pthread_mutex_lock(&t->lock);
        t->head += rest != NULL && rest->n > 0;
        t->over = true;
        pthread_cond_signal(&t->changed);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
    } else if (rest != NULL) {
        digest_update(t->state, rest->bytes, rest->n);
    }
    digest_end(t->state, d);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    for (unsigned i = 0; i < SLOTS; i++)
        free(t->slots[i]);
    free(t);
}
