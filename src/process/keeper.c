#include "process/keeper.h"
#include <signal.h>
#include <string.h>
#include <time.h>
#include "domain/upkeep.h"
#include "process/child.h"
#include "process/stopped.h"
#include "process/title.h"
#include "storage/room.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/banned.h"

#define ROUND_MS 1000
/* So much log, or so much time, since the last checkpoint: recovery takes as long as there is log.
 */
#define CHECKPOINT_KBYTES 8192
#define CHECKPOINT_MINUTES 1
#define CHECKPOINT_ROOM (1u << 20) /* with less it isn't tried: each try fills the log */
/* The same trouble again is said again after this. */
#define REPEAT_MS 60000

static volatile sig_atomic_t stopping;

static void
on_term(int number)
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
complain(struct trouble *t, const char *what, const struct err *err)
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
    bool is_short = room_check(dirfd, 0, &err) != 0;
    if (is_short) {
        complain(full, "hardly any room on the disk: nothing can be pushed", &err);
        room_give(dirfd);
        if (room_free(dirfd) < CHECKPOINT_ROOM)
            return;
    } else if (full->again_ms != 0) {
        log_line(LOG_INFO, "room on the disk again", NULL);
        full->again_ms = 0;
    }
    if (kv_checkpoint(kv, is_short ? 0 : CHECKPOINT_KBYTES, is_short ? 0 : CHECKPOINT_MINUTES,
                      &err) < 0 ||
        kv_trim_logs(kv, &err) < 0)
        complain(store, "checkpoint failed", &err);
    else if (!is_short)
        room_save(dirfd);
}

static void
pause_round(void)
{
    const struct timespec t = {.tv_sec = ROUND_MS / 1000, .tv_nsec = ROUND_MS % 1000 * 1000000};
    if (!stopping)
        nanosleep(&t, NULL); /* a signal ends it */
}

int
keeper_main(const struct server *s, pid_t master, struct kv_slot *slot)
{
    struct trouble full = {.again_ms = 0};
    struct trouble store = {.again_ms = 0};
    struct trouble upkeep = {.again_ms = 0};
    struct stopped stopped = {.n = 0};
    struct upkeep memory = {0};
    struct err err;
    child_begin(s, master, -1, on_term);
    title_set("keeper");

    struct registry reg;
    child_open(s, slot, &reg);
    while (!stopping) {
        stopped_wake(&stopped, s->dir.fd, s->options->watchdog_ms, clock_mono_ms());
        tend_store(s->dir.fd, reg.kv, &full, &store);
        if (!stopping && upkeep_step(&memory, &reg, &err) < 0)
            complain(&upkeep, "upkeep failed", &err);
        pause_round();
    }
    kv_close(reg.kv);
    return CHILD_DONE;
}
