#include "process/keeper/keeper.h"
#include <poll.h>
#include <signal.h>
#include <string.h>
#include "domain/v1/conversion_job.h"
#include "domain/core/upkeep.h"
#include "process/server/child.h"
#include "process/keeper/herald_client.h"
#include "process/keeper/indexer.h"
#include "process/server/stopped_process.h"
#include "process/server/process_title.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv_open.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/banned.h"

#define ROUND_MS 1000
/* So much log, or so much time, since the last checkpoint: recovery takes as long as there is log.
 */
#define CHECKPOINT_KBYTES 8192
#define CHECKPOINT_MINUTES 1
#define CHECKPOINT_ROOM (1u << 20) /* with less it isn't tried: each try fills the log */
/* For what is under way when we are told to stop; the master has its own limit. */
#define FINISH_MS 9000
/* The same trouble again is said again after this. */
#define REPEAT_MS 60000

static volatile sig_atomic_t stopping;

static void
note_keeper_term(int number)
{
    (void)number;
    stopping = 1;
}

struct trouble {
    char last[ERR_MESSAGE_MAX];
    uint64_t again_ms;
};

/* A full disk fails every second, and is worth a line a minute. */
static void
log_trouble(struct trouble *t, const char *what, const struct err *err)
{
    uint64_t now = clock_mono_ms();
    if (now < t->again_ms && strcmp(t->last, err->message) == 0)
        return;
    log_line(LOG_ERROR, what, "why=%s", err->message);
    memcpy(t->last, err->message, sizeof t->last);
    t->again_ms = now + REPEAT_MS;
}

/* Checkpoints make the cache clean, and old logs removable. On a disk that gets full that is done
 * at once, as long as it can be: a cache that is dirty when there is no room at all can't be read
 * through any more. */
static void
tend_store(int dirfd, struct kv *kv, struct trouble *full, struct trouble *store)
{
    struct err err;
    bool is_short = disk_space_check(dirfd, 0, &err) != 0;
    if (is_short) {
        log_trouble(full, "hardly any room on the disk: nothing can be pushed", &err);
        disk_space_give(dirfd);
        if (disk_space_free(dirfd) < CHECKPOINT_ROOM)
            return;
    } else if (full->again_ms != 0) {
        log_line(LOG_INFO, "room on the disk again", NULL);
        full->again_ms = 0;
    }
    if (kv_checkpoint(kv, is_short ? 0 : CHECKPOINT_KBYTES, is_short ? 0 : CHECKPOINT_MINUTES,
                      &err) < 0 ||
        kv_trim_logs(kv, &err) < 0)
        log_trouble(store, "checkpoint failed", &err);
    else if (!is_short)
        disk_space_save(dirfd);
}

/* Until a round is due, somebody pokes, the herald has something, or an index is made. A signal
 * ends it. x: NULL when nothing is indexed any more. */
static void
wait_for_work(const struct server *s, struct herald_client *f, struct indexer *x, uint64_t round_at)
{
    uint64_t now = clock_mono_ms(), wait = round_at > now ? round_at - now : 0;
    struct pollfd fds[2 + INDEXER_POLL_MAX] = {{.fd = s->poke, .events = POLLIN},
                                               herald_client_poll(f)};
    size_t n = 2;
    if (herald_client_wait_ms(f) < wait)
        wait = herald_client_wait_ms(f);
    if (x != NULL && indexer_wait_ms(x) < wait)
        wait = indexer_wait_ms(x);
    if (x != NULL)
        n += indexer_poll(x, fds + n);
    if (poll(fds, (nfds_t)n, (int)wait) <= 0 || fds[0].revents == 0)
        return;
    herald_client_poke(f, server_poked(s->poke) >= SERVER_POKE_HOOKS);
    if (x != NULL)
        indexer_poke(x);
}

/* True when an image was indexed. */
static bool
tend_indexes(struct indexer *x, struct herald_client *f, struct trouble *trouble)
{
    struct err err;
    bool told;
    if (indexer_step(x, &told, &err) < 0)
        log_trouble(trouble, "layers have to wait to be indexed", &err);
    if (told)
        herald_client_poke(f, false);
    return told;
}

/* Images of the first API become manifests when their layers are indexed. */
static void
convert_images(const struct registry *reg, bool hurry, struct trouble *trouble)
{
    struct err err;
    if (conversion_job_step(reg, hurry, &err) < 0)
        log_trouble(trouble, "images of the first API have to wait for their manifests", &err);
}

static void
feed(struct herald_client *f, struct trouble *trouble)
{
    struct err err;
    if (herald_client_step(f, &err) < 0)
        log_trouble(trouble, "events have to wait", &err);
}

/* The hooks that the herald still waits for may end well; it hangs up when it is done. */
static void
finish_feeding(const struct server *s, struct herald_client *f, struct trouble *trouble)
{
    uint64_t until = clock_mono_ms() + FINISH_MS;
    while (!herald_client_is_alone(f) && clock_mono_ms() < until) {
        feed(f, trouble);
        wait_for_work(s, f, NULL, clock_mono_ms() + 50);
    }
    herald_client_free(f);
}

int
keeper_main(const struct server *s, pid_t master, struct kv_slot *slot)
{
    struct trouble full = {.again_ms = 0};
    struct trouble store = {.again_ms = 0};
    struct trouble upkeep = {.again_ms = 0};
    struct trouble events = {.again_ms = 0};
    struct trouble indexes = {.again_ms = 0};
    struct trouble images = {.again_ms = 0};
    struct stopped_process stopped = {.n = 0};
    struct upkeep memory = {0};
    struct err err;
    child_begin(s, master, &s->poke, 1, note_keeper_term);
    process_title_set("keeper");

    struct registry reg;
    child_open(s, slot, &reg);
    struct herald_client *feeder = herald_client_new(s, &reg, &err);
    struct indexer *indexer = feeder != NULL ? indexer_new(s->options, &reg, &err) : NULL;
    if (indexer == NULL) {
        log_line(LOG_ERROR, "keeper stops", "why=%s", err.message);
        herald_client_free(feeder);
        kv_close(reg.kv);
        return CHILD_FAILED;
    }
    for (uint64_t round_at = 0; !stopping; wait_for_work(s, feeder, indexer, round_at)) {
        convert_images(&reg, tend_indexes(indexer, feeder, &indexes), &images);
        feed(feeder, &events);
        if (clock_mono_ms() < round_at)
            continue;
        round_at = clock_mono_ms() + ROUND_MS;
        herald_client_poke(feeder, false); /* somebody's poke may have been lost with him */
        indexer_poke(indexer);
        stopped_process_wake(&stopped, s->dir.fd, s->options->watchdog_ms, clock_mono_ms());
        tend_store(s->dir.fd, reg.kv, &full, &store);
        if (!stopping && upkeep_step(&memory, &reg, &err) < 0)
            log_trouble(&upkeep, "upkeep failed", &err);
    }
    indexer_free(indexer);
    finish_feeding(s, feeder, &events);
    kv_close(reg.kv);
    return CHILD_DONE;
}
