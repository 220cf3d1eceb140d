#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct access_file;
struct blob_store;
struct foreign_images;
struct hooks;
struct index_cache;
struct kv;
struct kv_node_self;
struct body_ahead;
struct login_cache;
struct quotas;
struct pull_memory;
struct repository_ids;
struct repository_sizes;
struct metrics;
struct metrics_place;
struct semaphore;
struct share_member;
struct token_keys;

/* The argument of every function of this floor: one store, opened by this process. Set up once by
 * the code that opens the store (process/), read-only from then on. */
struct registry {
    struct kv *kv;
    int dirfd;                      /* the data directory: uploads/, index/, auth/ are below it */
    const struct blob_store *blobs; /* where the files of blobs are */

    /* The functions for images that are no manifests: domain/core/foreign_images.h. */
    const struct foreign_images *foreign;

    /* An eventfd: adding 1 makes the keeper look at once for layers that a request waits for. NULL:
     * no keeper runs. */
    const int *poke;

    /* With --database: this node (storage/kv/kv_nodes.h); NULL: there are no nodes. */
    const struct kv_node_self *node;

    bool read_only; /* --read-only, or the data directory is: nothing is written */

    uint64_t started_ms; /* clock_mono_ms() of the server's start */

    /* limits and times, in milliseconds; see the options of the same names */
    uint64_t lease_ms;
    uint64_t upload_expiry_ms;
    uint64_t history_keep_ms; /* a former target of a tag stays this long; 0: it doesn't */
    uint64_t gc_interval_ms;
    uint64_t gc_untagged_ms;     /* 0: manifests without tags stay */
    uint64_t file_grace_ms;      /* no option: a file is removed this long after its record */
    uint64_t max_blob_size;      /* 0: none */
    uint64_t max_repositories;   /* 0: none */
    uint64_t max_tags;           /* of a repository; 0: none */
    uint64_t max_uploads;        /* in progress, of a user or address; 0: none */
    const struct quotas *quotas; /* of repositories; NULL: none */
    uint64_t event_keep_ms;
    uint64_t retain_every_ms;
    uint64_t token_lifetime_ms; /* of tokens of the second API */

    /* Was a user given with --user? (Users in auth/htpasswd are looked up as they come and go.) */
    bool users_given;
    /* --trust-remote-user: the site around this registry checks users, and a request without a name
     * is refused. */
    bool users_trusted;

    /* --immutable: patterns of tags (domain/access/immutable.h) */
    char *const *immutable;
    size_t immutable_n;

    /* --access: without the file nobody has a right. */
    bool rules_given;
    bool anonymous_pull; /* --anonymous-pull: without rules, clients without a user may pull */
    /* Users and rules as this process has read them; NULL in processes that decide nothing. */
    struct access_file *access;

    /* Sign tokens, and follow the files that they are in; NULL in processes that need none. */
    struct token_keys *token_keys;
    /* Passwords that nginx has found right, for tokens; NULL: none are remembered. */
    const struct login_cache *login_cache;

    /* Pulls that are not written down yet; NULL: pulls aren't noted. */
    const struct pull_memory *pulls;

    /* What this process guesses of ids; NULL: nothing, because the database is in this machine. */
    struct repository_ids *repository_ids;

    /* The bytes of each repository; NULL: none are known. */
    const struct repository_sizes *sizes;

    /* Hashes of uploads that are still being received; NULL: none. */
    const struct body_ahead *body_ahead;

    struct hooks *hooks; /* the administrator's hooks; NULL: none */
    uint64_t pre_hook_timeout_ms;

    /* Looking into images. index_seats: bounds the requests that wait for an index at the same
     * time; NULL: any number. indexes: the indexes that this process keeps open; NULL: none. */
    uint64_t index_wait_ms;
    const struct semaphore *index_seats;
    struct index_cache *indexes;

    /* Bounds the places of one client in this process's pool; NULL: no bound. */
    const struct share_member *share;

    /* Bytes of documents that this process may still read for the request that it works on
     * (domain/core/pull.h); NULL: no bound. Unlike the rest it changes. */
    uint64_t *may_read;

    /* Numbers for /metrics: those of all processes, and where this one counts. NULL: no server. */
    const struct metrics *metrics;
    struct metrics_place *counts;
    /* --metrics-from: networks, or "none"; n 0: this machine */
    const char *const *metrics_from;
    size_t metrics_from_n;

    /* --base-url: stands in front of paths in Location and Link; NULL: nothing does */
    const char *base_url;
};
