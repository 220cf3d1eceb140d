#include "process/keeper.h"
#include <signal.h>
#include <string.h>
#include <time.h>
#include "domain/upkeep.h"
#include "process/child.h"
#include "process/title.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/banned.h"

#define ROUND_MS 1000
/* So much log, or so much time, since the last checkpoint: recovery takes as long as there is log.
 */
#define CHECKPOINT_KBYTES 8192
#define CHECKPOINT_MINUTES 1
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
    struct trouble store = {.again_ms = 0};
    struct trouble upkeep = {.again_ms = 0};
    struct upkeep memory = {0};
    struct err err;
    child_begin(s, master, -1, on_term);
    title_set("keeper");

    struct registry reg;
    child_open(s, slot, &reg);
    while (!stopping) {
        if (kv_checkpoint(reg.kv, CHECKPOINT_KBYTES, CHECKPOINT_MINUTES, &err) < 0 ||
            kv_trim_logs(reg.kv, &err) < 0)
            complain(&store, "checkpoint failed", &err);
        if (!stopping && upkeep_step(&memory, &reg, &err) < 0)
            complain(&upkeep, "upkeep failed", &err);
        pause_round();
    }
    kv_close(reg.kv);
    return CHILD_DONE;
}
