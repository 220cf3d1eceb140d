#ifndef DOMAIN_REGISTRY_H
#define DOMAIN_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

struct foreign_images;
struct hooks;
struct index_cache;
struct kv;
struct semaphore;
struct token_key;

/* What every function of this floor works on: one store, opened by this process. Set up once by
 * whoever opens the store (process/), read-only from then on. */
struct registry {
    struct kv *kv;
    int dirfd; /* the data directory: layers/, uploads/, auth/ are below it */

    /* How tags of images that are no manifests are treated: domain/core/foreign_images.h. */
    const struct foreign_images *foreign;

    /* An eventfd: adding 1 makes the keeper look for work at once. NULL: there is no keeper. */
    const int *poke;

    uint64_t started_ms; /* when the server was, by clock_mono_ms */

    /* limits and times, in milliseconds; see the options of the same names */
    uint64_t lease_ms;
    uint64_t upload_expiry_ms;
    uint64_t gc_interval_ms;
    uint64_t max_blob_size;    /* 0: none */
    uint64_t max_repositories; /* 0: none; so the next two */
    uint64_t max_tags;         /* of a repository */
    uint64_t max_uploads;      /* in progress, of a user or address */
    uint64_t event_keep_ms;

    /* Was a user given with --user? Those in auth/htpasswd are looked up as they come and go. */
    bool users_given;
    /* --trust-remote-user: the users are the site's around us, and nobody is let in without a name.
     */
    bool users_trusted;

    /* Signs the tokens of the first API; NULL where nobody asks for any. */
    const struct token_key *token_key;

    struct hooks *hooks; /* those of the administrator; NULL: none */
    uint64_t pre_hook_timeout_ms;

    /* Looking into images. Those who wait for an index at the same time have a seat each; NULL: any
     * number. indexes: those that this process keeps open; NULL: none. */
    uint64_t index_wait_ms;
    const struct semaphore *index_seats;
    struct index_cache *indexes;

    /* --base-url: what goes in front of paths in Location and Link; NULL: nothing */
    const char *base_url;
};

#endif
