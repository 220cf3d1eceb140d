#include "process/worker/worker.h"
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/access/access_file.h"
#include "domain/core/repository_ids.h"
#include "domain/inside/index_cache.h"
#include "domain/metrics/metrics.h"
#include "process/server/child.h"
#include "process/worker/fcgi.h"
#include "process/server/process_title.h"
#include "protocol/http/dispatch.h"
#include "protocol/routes.h"
#include "storage/files/body_ahead.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv_open.h"
#include "util/log.h"
#include "util/random.h"

/* A worker exits after this many requests, and another takes its place, so leaks in us or in a
 * library are bounded. The number differs, so that they don't exit together. */
#define RETIRE_AFTER 10000
#define RETIRE_SPREAD 2000

static void
note_worker_term(int number)
{
    (void)number;
    fcgi_stop();
}

static void
note_worker_retire(int number)
{
    (void)number;
    fcgi_retire();
}

struct work {
    struct registry reg;
    enum pool_id pool;
    int poke;
    struct hooks hooks;
    struct access_file access;
    struct share_member share;
    struct token_keys token_keys;
    uint64_t may_read; /* the bound of short requests; only in pool api */
    uint64_t served;
    uint64_t retire_at;
};

static void
answer_request(const struct http_request *req, struct arena *arena, struct http_reply *reply,
               void *arg)
{
    struct work *w = arg;

    uint64_t flights = kv_flights(w->reg.kv);

    metrics_busy(w->reg.counts, true);
    dispatch(&routes, &w->reg, req, arena, reply);
    metrics_count(w->reg.counts, METRIC_ROUND_TRIPS, w->pool, kv_flights(w->reg.kv) - flights);
    /* Of a request of unknown size the body may be large. */
    if (req->role == ROLE_AUTH && (!req->has_length || req->content_length >= BODY_AHEAD_LEAST))
        body_ahead_announce(w->reg.body_ahead);
    if ((req->method & (HTTP_GET | HTTP_HEAD)) == 0)
        server_poke(w->poke, SERVER_POKE_EVENTS);
    /* On a full disk the successor might be unable to open the database. */
    if (++w->served >= w->retire_at &&
        disk_space_free(w->reg.dirfd) >= disk_space_margin(w->reg.dirfd))
        fcgi_retire();
}

/* The bytes of the body. For an upload in pieces, nginx doesn't announce them. */
static uint64_t
count_received(const struct http_request *req)
{
    struct stat st;

    if (req->has_length)
        return req->content_length;
    if (*req->body_file != '\0' && stat(req->body_file, &st) == 0)
        return (uint64_t)st.st_size;
    return req->body.n;
}

/* Each request of a client counts once: a permission for an upload is followed by another request
 * of nginx, and so is what another worker has to answer. */
static void
count_request(const struct work *w, const struct fcgi_done *done)
{
    const struct http_request *req = done->req;
    const struct http_reply *reply = done->reply;
    unsigned method = (unsigned)__builtin_ctz(req->method);
    unsigned methods = reply->route > 0 ? routes.rows[reply->route - 1].methods : 0;

    if (reply->goes_on || (req->role == ROLE_AUTH && reply->status < 300))
        return;
    metrics_request(w->reg.counts, &(struct metrics_request){
                                       .route = reply->route,
                                       .method = method,
                                       .is_second = (methods & (req->method - 1)) != 0,
                                       .status = reply->status,
                                       .us = done->us,
                                       .received = req->role == ROLE_AUTH ? 0 : count_received(req),
                                       .sent = done->sent + reply->file_bytes,
                                   });
}

static void
end_request(const struct fcgi_done *done, void *arg)
{
    const struct work *w = arg;

    if (done != NULL)
        count_request(w, done);
    metrics_busy(w->reg.counts, false);

    if (w->reg.share != NULL)
        share_leave(w->reg.share);
}

int
worker_main(const struct server *s, pid_t master, enum pool_id pool, unsigned number,
            const struct child_place *place)
{
    const int keep[] = {s->sockets[pool], s->poke, s->index_seats.fd,
                        pool == POOL_API ? s->exchange.give : -1,
                        pool == POOL_API ? s->exchange.take : -1};
    const struct connections_pool kept = {&s->exchange, number - 1};
    struct sigaction retire = {.sa_handler = note_worker_retire};
    sigset_t between; /* comes through between requests only: see connections.c */
    struct work work;
    struct err err;
    int r;

    child_begin(s, master, keep, sizeof keep / sizeof *keep, note_worker_term);
    sigemptyset(&between);
    sigaddset(&between, SIGUSR1);
    sigprocmask(SIG_BLOCK, &between, NULL);
    sigaction(SIGUSR1, &retire, NULL);
    process_title_set("worker %s %u", pools[pool].name, number);

    work = (struct work){
        .pool = pool, .poke = s->poke, .retire_at = RETIRE_AFTER + random_u64() % RETIRE_SPREAD};
    if (pool == POOL_API) /* which must not keep others waiting */
        blob_store_hurry(&s->blobs);
    child_open(s, place, &work.reg);
    server_hooks(s, &work.hooks);
    work.hooks.quiet = true; /* the master logs it, once for all workers */
    work.reg.hooks = &work.hooks;
    work.token_keys = s->token_keys;
    work.reg.token_keys = &work.token_keys;
    work.reg.access = &work.access;
    kv_keep_room(work.reg.kv);
    if (kv_is_remote(work.reg.kv))
        work.reg.repository_ids = repository_ids_new();
    if (s->shares[pool].n > 0) {
        work.share = (struct share_member){&s->shares[pool], number - 1};
        work.reg.share = &work.share;
        share_leave(&work.share);
    }
    if (pool == POOL_BULK)
        body_ahead_follow(work.reg.body_ahead, work.reg.dirfd);
    if (pool == POOL_API)
        work.reg.may_read = &work.may_read;
    if (pool == POOL_BROWSE) {
        work.reg.index_seats = &s->index_seats;
        work.reg.indexes = index_cache_new(INDEX_CACHE_KEEP);
    }
    r = fcgi_serve(s->sockets[pool], pool == POOL_API ? &kept : NULL, &fcgi_limits_default,
                   answer_request, end_request, &work, &err);
    if (r < 0)
        log_line(LOG_ERROR, "worker stops", "pool=%s why=%s", pools[pool].name, err.message);
    index_cache_free(work.reg.indexes);
    repository_ids_free(work.reg.repository_ids);
    kv_close(work.reg.kv);
    return r == 0 ? CHILD_DONE : CHILD_FAILED;
}
