#include "storage/kv/bdb_stats.h"
#include "storage/kv/bdb.h"

/* The library's way to count bytes. */
#define MEGABYTE UINT64_C(1048576)

int
bdb_stats_get(struct kv *kv, struct kv_stats *out, struct err *err)
{
    struct bdb *b = (struct bdb *)kv;
    DB_MPOOL_STAT *cache = NULL;
    DB_LOCK_STAT *locks = NULL;
    DB_LOG_STAT *log = NULL;
    int ret;

    bdb_enter(b);
    ret = b->env->memp_stat(b->env, &cache, NULL, 0);
    if (ret == 0)
        ret = b->env->lock_stat(b->env, &locks, 0);
    if (ret == 0)
        ret = b->env->log_stat(b->env, &log, 0);
    if (ret == 0) {
        out->cache_hits = (uint64_t)cache->st_cache_hit;
        out->cache_misses = (uint64_t)cache->st_cache_miss;
        out->deadlocks = (uint64_t)locks->st_ndeadlocks;
        out->log_bytes = MEGABYTE * (uint64_t)log->st_w_mbytes + (uint64_t)log->st_w_bytes;
    } else {
        bdb_fail_env(b, ret, "counting in", err);
    }
    bdb_leave(b);
    free(cache);
    free(locks);
    free(log);
    return ret == 0 ? 0 : -1;
}
