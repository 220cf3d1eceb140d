#include "util/share.h"
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/digest.h"

/* A request that waits looks at least so often, since others may die, or become slow. */
#define PAUSE_MS 5

struct share_place {
    atomic_ullong client; /* 0: none */
    atomic_ullong since;  /* clock_mono_ms() when it came, or when it began to hold the place */
    atomic_bool holds;    /* false: it waits */
};

struct share_places {
    atomic_uint ended; /* counts requests that ended: a futex */
    struct share_place v[];
};

int
share_make(struct share *s, unsigned n, uint64_t patience_ms, struct err *err)
{
    *s = (struct share){.n = n, .most = n > 2 ? n - (n + 3) / 4 : n, .patience_ms = patience_ms};
    s->places = mmap(NULL, sizeof *s->places + n * sizeof *s->places->v, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->places != MAP_FAILED)
        return 0;
    s->places = NULL;
    return err_errno(err, "cannot share memory between %u processes", n);
}

void
share_close(struct share *s)
{
    if (s->places != NULL)
        munmap(s->places, sizeof *s->places + s->n * sizeof *s->places->v);
    s->places = NULL;
}

/* Addresses and names are chosen by clients, so no two of them may be made to count as one. */
static unsigned long long
client_number(const char *client)
{
    struct digest d;
    unsigned long long number;

    digest_of(&d, DIGEST_SHA256, bytes_str(client));
    memcpy(&number, d.bytes, sizeof number);
    return number | 1;
}

struct others {
    unsigned hold;   /* the client's other requests that hold a place */
    unsigned long_;  /* of these, those that have done so for longer than the patience */
    unsigned before; /* those that wait, and came earlier */
};

static struct others
count_others(const struct share_member *m)
{
    const struct share_place *own = &m->share->places->v[m->place];
    uint64_t now = clock_mono_ms();
    struct others o = {0};

    for (unsigned i = 0; i < m->share->n; i++) {
        const struct share_place *p = &m->share->places->v[i];
        uint64_t since = p->since;

        if (i == m->place || p->client != own->client)
            continue;
        if (p->holds) {
            o.hold++;
            o.long_ += now > since + m->share->patience_ms;
        } else {
            o.before += since < own->since || (since == own->since && i < m->place);
        }
    }
    return o;
}

/* Of several members that take the last place at the same time, each sees another, and gives way.
 */
static bool
hold_place(const struct share_member *m)
{
    struct share_place *own = &m->share->places->v[m->place];

    own->holds = true;
    if (count_others(m).hold < m->share->most) {
        own->since = clock_mono_ms();
        return true;
    }
    own->holds = false;
    return false;
}

/* Until a request ends, or for PAUSE_MS. ended: their number before the caller looked. */
static void
wait_for_end(struct share_places *p, unsigned ended)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};

    syscall(SYS_futex, &p->ended, FUTEX_WAIT, ended, &pause, NULL, 0);
}

int
share_enter(const struct share_member *m, const char *client, struct err *err)
{
    struct share_place *own = &m->share->places->v[m->place];
    unsigned most = m->share->most;

    own->since = clock_mono_ms();
    own->client = client_number(client);
    for (;;) {
        unsigned ended = m->share->places->ended;
        struct others o = count_others(m);

        if (o.hold + o.before < most && hold_place(m))
            return 0;
        if (o.long_ >= most)
            return err_set(err, ERR_TOO_MANY,
                           "this client already has %u slow requests in progress", o.long_);
        wait_for_end(m->share->places, ended);
    }
}

void
share_leave(const struct share_member *m)
{
    struct share_places *p = m->share->places;
    struct share_place *own = &m->share->places->v[m->place];

    own->client = 0;
    own->holds = false;
    p->ended++;
    syscall(SYS_futex, &p->ended, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
