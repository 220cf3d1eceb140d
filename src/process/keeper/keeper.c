#include "process/keeper/keeper.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/core/upkeep.h"
#include "domain/metrics/metrics.h"
#include "domain/retention/last_pull.h"
#include "domain/retention/pull_memory.h"
#include "domain/retention/retain_round.h"
#include "domain/v1/conversion_job.h"
#include "process/keeper/herald_client.h"
#include "process/keeper/indexer.h"
#include "process/keeper/keeper_report.h"
#include "process/keeper/scrub.h"
#include "process/keeper/snapshotter.h"
#include "process/server/child.h"
#include "process/server/process_title.h"
#include "process/server/stopped_process.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv.h"
#include "storage/kv/kv_nodes.h"
#include "storage/kv/kv_open.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/loop.h"

/* A round while there is something to do, and when nothing has happened for a while. */
#define ROUND_MS 1000
#define ROUND_IDLE_MS 4000
/* If each question to the database is a flight: the pause between two looks for what nobody has
 * poked for. */
#define LOOK_EACH_MS 60000
#define LOOK_SHARED_MS 2000 /* other nodes put work, and don't poke this keeper */
/* A checkpoint is due after this much log, or time: recovery takes as long as there is log. */
#define CHECKPOINT_KBYTES 8192
#define CHECKPOINT_MINUTES 1
/* With less room on the disk there are no checkpoints, since each try adds to the log. */
#define CHECKPOINT_ROOM (1u << 20)
/* The pulls are written down this often. */
#define PULLS_EACH_MS 60000
#define PULLS_SHARED_MS 5000 /* with other nodes, of which one judges by them */
/* A new keeper goes on with the hooks of the one before if it leads after this time. */
#define LEAD_PATIENCE_MS 5000
#define LEAD_PAUSE_MS 50
/* Time for work in progress when the keeper is told to stop; the master has its own limit. */
#define FINISH_MS 9000
/* After a poke, the keeper hears no other for this time: each push sends several. */
#define CALM_MS 10
/* Interval for logging the same trouble. */
#define REPEAT_MS 60000

struct trouble {
    const char *what; /* the log line */
    char last[ERR_MESSAGE_MAX];
    uint64_t again_ms; /* clock_mono_ms(); 0: there is no trouble */
};

struct keeper {
    const struct server *server;
    struct registry reg;
    struct loop loop;
    struct loop_fd poke;
    struct loop_timer calm;      /* runs: `poke` isn't watched */
    uint64_t round_at, round_ms; /* when the next round is due, and how long this one is */
    struct loop_timer round;
    uint64_t look_at;     /* when a round asks the database at the latest */
    bool has_conversions; /* there may be images of the first API to convert */
    uint32_t seen_event;  /* the last one that the herald has */
    struct herald_client *herald;
    struct indexer *indexer; /* NULL while the keeper stops */
    struct scrub *scrub;
    struct snapshotter *snapshotter;
    struct upkeep upkeep;
    uint64_t pulls_at; /* when they are written down next */
    struct hooks hooks;
    struct retain_round *retention;
    uint64_t retention_at; /* when it goes on; 0: it has nothing to do */
    struct keeper_report report;
    bool tries_to_lead;          /* of a follower: in this round of the loop */
    struct timespec nginx_since; /* when our nginx was started */
    struct stopped_process stopped;
    bool stopping;
    struct trouble full_disk, bad_store, bad_upkeep, late_events, late_indexes, late_manifests,
        late_pulls, bad_retention, no_scrub, no_lead;
};

/* The same trouble is logged once a minute, although a full disk, say, causes it every second. */
static bool
is_trouble_due(struct trouble *t, const struct err *err)
{
    uint64_t now = clock_mono_ms();

    if (now < t->again_ms && strcmp(t->last, err->message) == 0)
        return false;
    memcpy(t->last, err->message, sizeof t->last);
    t->again_ms = now + REPEAT_MS;
    return true;
}

static void
log_trouble(struct trouble *t, const struct err *err)
{
    if (is_trouble_due(t, err))
        log_line(LOG_ERROR, t->what, "why=%s", err->message);
}

/* ---- each round ---- */

/* A checkpoint writes the cache to the tables, so that old logs can be removed. When the disk gets
 * full it is done at once, as long as there is room for it: once there is none, a cache full of
 * changed pages can't take in any other page. */
static void
tend_store(struct keeper *k)
{
    int dirfd = k->server->dir.fd;
    struct kv *kv = k->reg.kv;
    struct err err;
    bool is_refused = disk_space_check(dirfd, 0, &err) != 0;
    bool is_short = is_refused && disk_space_free(dirfd) < disk_space_margin(dirfd);

    if (is_refused) {
        if (is_trouble_due(&k->full_disk, &err))
            log_line(LOG_ERROR, "the disk is full: nothing can be pushed", "free=%llu needed=%llu",
                     (unsigned long long)disk_space_free(dirfd),
                     (unsigned long long)disk_space_needed(dirfd));
        disk_space_give(dirfd);
        if (disk_space_free(dirfd) < CHECKPOINT_ROOM)
            return;
    } else if (k->full_disk.again_ms != 0) {
        log_line(LOG_INFO, "the disk has room again", NULL);
        k->full_disk.again_ms = 0;
    }
    if (kv_checkpoint(kv, is_short ? 0 : CHECKPOINT_KBYTES, is_short ? 0 : CHECKPOINT_MINUTES,
                      &err) != 0 ||
        kv_trim_logs(kv, &err) != 0)
        log_trouble(&k->bad_store, &err);
    else if (!is_short)
        disk_space_save(dirfd);
}

/* Commits since the last checkpoint are only in the log. After this one they are in the tables,
 * too, and a start knows how far the log has to reach. */
static void
close_store(struct keeper *k)
{
    struct err err;

    if (disk_space_free(k->server->dir.fd) >= CHECKPOINT_ROOM &&
        kv_checkpoint(k->reg.kv, 0, 0, &err) != 0)
        log_trouble(&k->bad_store, &err);
}

/* An nginx that was killed may have left bodies of uploads behind. The next one writes its pid. */
static void
look_for_new_nginx(struct keeper *k)
{
    struct stat st;

    if (fstatat(k->server->dir.fd, SERVER_NGINX_PID, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        (st.st_mtim.tv_sec == k->nginx_since.tv_sec &&
         st.st_mtim.tv_nsec == k->nginx_since.tv_nsec))
        return;
    k->nginx_since = st.st_mtim;
    upkeep_look_for_bodies(&k->upkeep);
}

/* Writes down what was pulled. */
static void
tend_pulls(struct keeper *k)
{
    struct err err;

    k->pulls_at = clock_mono_ms() + (k->report.node.has_others ? PULLS_SHARED_MS : PULLS_EACH_MS);
    if (last_pull_flush(&k->reg, &err) != 0)
        log_trouble(&k->late_pulls, &err);
}

/* Deletes the tags that no rule of retention keeps. */
static void
tend_tags(struct keeper *k)
{
    struct err err;

    if (clock_mono_ms() >= k->retention_at &&
        retain_round_step(k->retention, &k->retention_at, &err) != 0)
        log_trouble(&k->bad_retention, &err);
}

static void
plan_round(struct keeper *k, uint64_t at)
{
    uint64_t census = keeper_report_due(&k->report);

    k->round_at = k->upkeep.wake_ms < at ? k->upkeep.wake_ms : at;
    k->round_at = census < k->round_at ? census : k->round_at;
    if (k->retention_at != 0 && k->retention_at < k->round_at)
        k->round_at = k->retention_at;
    loop_timer_at(&k->round, k->round_at);
}

/* Does this round ask the database for more than new events, although nothing has happened? */
static bool
is_look_due(struct keeper *k)
{
    uint64_t now = clock_mono_ms();

    if (kv_is_remote(k->reg.kv) && now < k->look_at)
        return false;
    k->look_at = now + (k->report.node.has_others ? LOOK_SHARED_MS : LOOK_EACH_MS);
    return true;
}

static void
look_for_work(struct keeper *k)
{
    struct err err;

    indexer_poke(k->indexer);
    indexer_hurry(k->indexer);
    k->has_conversions = true;
    if (!k->stopping && upkeep_step(&k->upkeep, &k->reg, &err) != 0)
        log_trouble(&k->bad_upkeep, &err);
}

/* The connection that makes this keeper the leader is lost, and with it the right to write; or the
 * clock was set. The next keeper finds out who leads. */
static void
end_lost_leader(const struct keeper *k)
{
    bool leads = kv_node_leads(k->reg.kv);

    if (leads && !metrics_is_clock_wrong(&k->server->metrics))
        return;
    log_line(LOG_WARN, "this node doesn't lead any more", "why=%s",
             !leads                          ? "the connection to the database was lost"
             : k->report.node.why[0] != '\0' ? k->report.node.why
                                             : "the clock of this machine was set");
    _exit(CHILD_DONE);
}

static void
on_keeper_round(void *arg)
{
    struct keeper *k = arg;
    /* A stopped process is found in the second look, and woken within --watchdog. */
    uint64_t looks_ms = k->server->options->watchdog_ms / 3;
    uint64_t idle_ms = k->report.node.has_others ? ROUND_MS : ROUND_IDLE_MS;
    uint64_t most = looks_ms < idle_ms ? looks_ms : idle_ms;
    bool is_busy = k->round_ms < most || clock_mono_ms() >= k->upkeep.wake_ms;
    bool looks = is_look_due(k) || is_busy;

    end_lost_leader(k);
    /* A process that died after its commit may not have poked, and those of other nodes can't. */
    herald_client_poke(k->herald, false);
    stopped_process_wake(&k->stopped, getppid(), STOPPED_PROCESS_ALL,
                         k->server->options->watchdog_ms, clock_mono_ms());
    if (!k->stopping)
        snapshotter_step(k->snapshotter);
    tend_store(k);
    look_for_new_nginx(k);
    if (clock_mono_ms() >= k->pulls_at)
        tend_pulls(k);
    if (looks)
        look_for_work(k);
    if (!k->stopping)
        tend_tags(k);
    if (keeper_report_step(&k->report, k->herald, k->indexer, looks) && kv_node_leads(k->reg.kv))
        herald_client_lead(k->herald, 0);
    if (k->full_disk.again_ms != 0)
        k->round_ms = ROUND_MS;
    plan_round(k, loop_now(&k->loop) + k->round_ms);
    k->round_ms = 2 * k->round_ms < most ? 2 * k->round_ms : most;
}

/* ---- whenever something happens ---- */

static void
on_calm(void *arg)
{
    struct keeper *k = arg;

    loop_fd_set(&k->poke, k->server->poke, POLLIN);
}

/* Something has happened: more rounds come soon. */
static void
expect_work(struct keeper *k)
{
    uint64_t soon = loop_now(&k->loop) + ROUND_MS;

    k->round_ms = ROUND_MS;
    k->has_conversions = true;
    if (k->round_at > soon && !k->stopping)
        plan_round(k, soon);
    if (k->indexer != NULL)
        indexer_poke(k->indexer);
}

static void
on_poke(void *arg)
{
    struct keeper *k = arg;
    uint64_t what = server_poked(k->server->poke);

    loop_fd_stop(&k->poke);
    loop_timer_at(&k->calm, loop_now(&k->loop) + CALM_MS);
    expect_work(k);
    herald_client_poke(k->herald, what >= SERVER_POKE_HOOKS);
    if (k->indexer != NULL && what % SERVER_POKE_EVENTS != 0)
        indexer_hurry(k->indexer);
}

static void
on_keeper_signal(void *arg, int number)
{
    struct keeper *k = arg;

    (void)number;
    k->stopping = true;
}

static void
serve_herald(struct keeper *k)
{
    struct err err;

    if (herald_client_step(k->herald, &err) != 0)
        log_trouble(&k->late_events, &err);
}

/* Indexes layers; an index that is done may allow to convert an image of the first API, and puts
 * events. */
static void
keep_up(struct keeper *k)
{
    struct err err;
    bool told;

    if (pull_memory_is_filling(k->reg.pulls))
        tend_pulls(k);
    if (indexer_step(k->indexer, &told, &err) != 0)
        log_trouble(&k->late_indexes, &err);
    if (told)
        herald_client_poke(k->herald, false);
    if ((k->has_conversions || told || !kv_is_remote(k->reg.kv)) &&
        conversion_job_step(&k->reg, told, &err) != 0)
        log_trouble(&k->late_manifests, &err);
    k->has_conversions = false;
    if (scrub_step(k->scrub, &told, &err) != 0)
        log_trouble(&k->no_scrub, &err);
    if (told)
        herald_client_poke(k->herald, false);
    serve_herald(k);
    if (kv_is_remote(k->reg.kv) && k->herald->sent != k->seen_event) /* maybe of another node */
        expect_work(k);
    k->seen_event = k->herald->sent;
}

/* ---- the end ---- */

/* Hooks that still run may end well; the herald closes the connection when it is done. */
static void
finish_with_herald(struct keeper *k)
{
    uint64_t until = clock_mono_ms() + FINISH_MS;
    struct err err;

    loop_timer_init(&k->round, &k->loop, NULL, NULL);
    loop_timer_at(&k->round, until);
    do
        serve_herald(k);
    while (!herald_client_is_alone(k->herald) && loop_now(&k->loop) < until &&
           loop_wait(&k->loop, &err) == 0);
}

static void
on_idle_round(void *arg)
{
    struct keeper *k = arg;
    uint64_t watchdog_ms = k->server->options->watchdog_ms;

    stopped_process_wake(&k->stopped, getppid(), STOPPED_PROCESS_ALL, watchdog_ms, clock_mono_ms());
    keeper_report_step(&k->report, NULL, NULL, true);
    loop_timer_at(&k->round,
                  loop_now(&k->loop) +
                      (watchdog_ms / 3 < ROUND_IDLE_MS ? watchdog_ms / 3 : ROUND_IDLE_MS));
}

/* In a read-only registry only stopped processes are looked for, and the state is told. */
static int
run_idle_keeper(struct keeper *k, struct err *err)
{
    static const int caught[] = {SIGTERM};
    int rc = loop_signals(&k->loop, caught, 1, on_keeper_signal, k, err);

    loop_timer_init(&k->round, &k->loop, on_idle_round, k);
    loop_timer_at(&k->round, loop_now(&k->loop));
    while (rc == 0 && !k->stopping)
        rc = loop_wait(&k->loop, err);
    loop_timer_stop(&k->round);
    return rc;
}

/* ---- nodes ---- */

/* The work of each node: its own uploads, what was pulled from it, its listeners. */
static void
on_follower_round(void *arg)
{
    struct keeper *k = arg;

    herald_client_poke(k->herald, false);
    stopped_process_wake(&k->stopped, getppid(), STOPPED_PROCESS_ALL,
                         k->server->options->watchdog_ms, clock_mono_ms());
    tend_store(k);
    look_for_new_nginx(k);
    if (clock_mono_ms() >= k->pulls_at)
        tend_pulls(k);
    upkeep_step_own(&k->upkeep, &k->reg);
    keeper_report_step(&k->report, NULL, NULL, is_look_due(k));
    k->tries_to_lead = !k->report.node.may_not_lead;
    loop_timer_at(&k->round, loop_now(&k->loop) + ROUND_MS);
}

/* 1: this node leads; 0; -1. */
static int
try_to_lead(struct keeper *k, uint64_t *wait_ms, struct err *err)
{
    k->tries_to_lead = false;
    return kv_node_lead(k->reg.kv, &k->server->node, wait_ms, err);
}

/* Until this node leads, or the keeper is told to stop. *wait_ms: no hook is run for so long. */
static int
follow_leader(struct keeper *k, uint64_t *wait_ms, struct err *err)
{
    uint64_t until = clock_mono_ms() + LEAD_PATIENCE_MS;
    int rc = 0, leads;

    node_report_step(&k->report.node, k->server, &k->reg); /* how is the clock? */
    leads = 0;
    while (!k->report.node.may_not_lead && (leads = try_to_lead(k, wait_ms, err)) < 0 &&
           clock_mono_ms() < until)
        clock_sleep_ms(LEAD_PAUSE_MS);
    if (leads == 1)
        return 0;
    log_line(LOG_INFO, "this node follows", "why=%s",
             leads == 0 ? "another one leads" : err->message);
    k->report.follows = true;
    k->herald = herald_client_new(k->server, &k->reg, &k->loop);
    herald_client_follow(k->herald);
    loop_timer_init(&k->round, &k->loop, on_follower_round, k);
    loop_timer_at(&k->round, loop_now(&k->loop));
    while (rc == 0 && !k->stopping && leads != 1) {
        serve_herald(k);
        rc = loop_wait(&k->loop, err);
        if (k->tries_to_lead && (leads = try_to_lead(k, wait_ms, err)) < 0)
            log_trouble(&k->no_lead, err);
    }
    loop_timer_stop(&k->round);
    if (leads != 1 || k->stopping)
        return rc;
    k->report.follows = false;
    herald_client_free(k->herald);
    k->herald = NULL;
    return 0;
}

/* ---- the whole ---- */

static void
finish_keeper(struct keeper *k, bool has_failed)
{
    tend_pulls(k); /* while there is time for it */
    close_store(k);
    if (!has_failed)
        finish_with_herald(k);
    tend_pulls(k);
    node_report_end(&k->report.node, k->server, &k->reg, herald_client_is_alone(k->herald));
    herald_client_free(k->herald);
    close_store(k); /* again, for what came since */
}

/* Its deletions ask the pre-hook, as those of clients do. */
static struct retain_round *
new_retention(struct keeper *k)
{
    struct registry reg = k->reg;

    reg.hooks = &k->hooks;
    return retain_round_new(&reg);
}

static void
begin_leading(struct keeper *k, uint64_t wait_ms)
{
    k->herald = herald_client_new(k->server, &k->reg, &k->loop);
    k->retention = new_retention(k);
    k->snapshotter = snapshotter_new(k->server, &k->reg, &k->loop);
    k->indexer = indexer_new(k->server->options, &k->reg, &k->loop);
    k->scrub = scrub_new(k->server->options, &k->reg, &k->loop);
    if (k->server->options->database == NULL)
        return;
    log_line(LOG_INFO, "this node leads", "wait_ms=%llu", (unsigned long long)wait_ms);
    herald_client_lead(k->herald, wait_ms);
}

static int
lead(struct keeper *k, uint64_t wait_ms, struct err *err)
{
    int rc = 0;

    begin_leading(k, wait_ms);
    loop_timer_init(&k->round, &k->loop, on_keeper_round, k);
    loop_timer_at(&k->round, loop_now(&k->loop));
    while (rc == 0 && !k->stopping) {
        end_lost_leader(k);
        keep_up(k);
        rc = loop_wait(&k->loop, err);
    }
    loop_timer_stop(&k->round);
    indexer_free(k->indexer);
    k->indexer = NULL;
    scrub_free(k->scrub);
    retain_round_free(k->retention);
    snapshotter_free(k->snapshotter);
    return rc;
}

static int
run_keeper(struct keeper *k, struct err *err)
{
    static const int caught[] = {SIGTERM};
    int rc = loop_signals(&k->loop, caught, 1, on_keeper_signal, k, err);
    uint64_t wait_ms = 0;

    loop_fd_init(&k->poke, &k->loop, on_poke, k);
    loop_timer_init(&k->calm, &k->loop, on_calm, k);
    on_calm(k);
    if (rc == 0 && kv_is_remote(k->reg.kv))
        rc = follow_leader(k, &wait_ms, err);
    if (rc == 0 && !k->stopping)
        rc = lead(k, wait_ms, err);
    finish_keeper(k, rc != 0);
    return rc;
}

int
keeper_main(const struct server *s, pid_t master, const struct child_place *place)
{
    struct keeper k = {
        .server = s,
        .round_ms = ROUND_MS,
        .bad_store.what = "checkpoint failed",
        .bad_upkeep.what = "upkeep failed",
        .late_events.what = "events have to wait",
        .late_indexes.what = "layers have to wait to be indexed",
        .no_scrub.what = "blobs aren't read to look for damage",
        .late_manifests.what = "images of the first API have to wait for their manifests",
        .bad_retention.what = "retention failed",
        .no_lead.what = "it isn't known which node leads",
        .late_pulls.what = "pulls have to wait to be written down",
    };
    struct err err;
    int rc;

    child_begin(s, master, &s->poke, 1, NULL);
    process_title_set("keeper");
    blob_store_hurry(&s->blobs);
    child_open(s, place, &k.reg);
    loop_init(&k.loop);
    server_hooks(s, &k.hooks);
    k.hooks.quiet = true; /* the master logs what is wrong with them */
    k.report = (struct keeper_report){.server = s, .reg = &k.reg};
    rc = s->read_only ? run_idle_keeper(&k, &err) : run_keeper(&k, &err);
    if (rc != 0)
        log_line(LOG_ERROR, "the keeper failed", "why=%s", err.message);
    loop_free(&k.loop);
    kv_close(k.reg.kv);
    return rc == 0 ? CHILD_DONE : CHILD_FAILED;
}
