#include "process/commands/repo_list.h"
#include <inttypes.h>
#include "domain/core/quota.h"
#include "domain/core/reach.h"
#include "domain/core/repository.h"
#include "domain/core/usage.h"
#include "process/commands/progress.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tally.h"
#include "util/glob.h"
#include "util/json.h"
#include "util/mem.h"

/* Records that are read at once. */
#define PAGE 100

struct listing {
    struct control *control;
    struct progress progress;
    bool json, any;
};

static bool
is_listing_over(void *arg)
{
    const struct listing *l = arg;

    return control_is_over(l->control) || ferror(stdout);
}

static void
print_list_item(struct listing *l, struct json *j)
{
    command_print(l->any ? ",\n" : "", j, "");
    l->any = true;
}

static enum command_exit
end_list(struct listing *l, int rc, const char *json_end, struct err *err)
{
    progress_end(&l->progress);
    if (rc == 0 && is_listing_over(l))
        rc = err_set(err, ERR_BUSY, "interrupted");
    if (rc == 0 && l->json)
        puts(json_end);
    if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
        rc = err_errno(err, "cannot write the list");
    return rc == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

static int
count_tags(const struct registry *reg, uint64_t repo, uint64_t *n, struct err *err)
{
    const struct tally tags = {.kind = TALLY_TAGS, .repo = repo};

    *n = 0;
    return tbl_tally_get(kv_reads(reg->kv), &tags, n, err) < 0 ? -1 : 0;
}

static struct json *
usage_as_json(const char *name, const char *value, const struct usage *u)
{
    struct json *j = json_new_object();

    json_set_string(j, name, value);
    json_set_u64(j, "manifests", u->manifests);
    json_set_u64(j, "blobs", u->blobs);
    json_set_u64(j, "bytes", u->bytes);
    json_set_u64(j, "own", u->own);
    return j;
}

static void
print_usage_line(const struct usage *u, const char *what)
{
    char all[PROGRESS_SIZE_MAX], own[PROGRESS_SIZE_MAX];

    progress_size(all, u->bytes);
    progress_size(own, u->own);
    printf("%-10s %-10s %s\n", all, own, what);
}

/* ---- repo ls ---- */

static int
list_repository(struct listing *l, const char *name, uint64_t id, struct err *err)
{
    const struct registry *reg = l->control->reg;
    char size[PROGRESS_SIZE_MAX];
    struct usage u;
    uint64_t tags;
    struct json *j;
    int rc = repository_has_any(reg, id, err);

    if (rc != 1)
        return rc;
    progress_tell(&l->progress, "counting %s", name);
    if (count_tags(reg, id, &tags, err) != 0 ||
        usage_of_repository(reg, id, is_listing_over, l, &u, err) != 0)
        return -1;
    progress_end(&l->progress);
    if (l->json) {
        j = usage_as_json("name", name, &u);
        json_set_u64(j, "tags", tags);
        print_list_item(l, j);
        return 0;
    }
    progress_size(size, u.bytes);
    printf("%-10s %6" PRIu64 " %-5s %s\n", size, tags, tags == 1 ? "tag" : "tags", name);
    return 0;
}

enum command_exit
repo_list_names(struct control *c, const char *pattern, bool json, struct err *err)
{
    struct listing l = {.control = c, .json = json};
    struct repository_batch b = {.n = REPOSITORY_BATCH};
    struct glob *g = mem_alloc(sizeof *g);
    int rc = glob_compile(g, bytes_str(pattern[0] != '\0' ? pattern : "**"), err);

    progress_begin(&l.progress);
    if (rc == 0 && json)
        putchar('[');
    while (rc == 0 && b.n == REPOSITORY_BATCH && !is_listing_over(&l)) {
        rc = repository_next(c->reg, &b, err);
        for (size_t i = 0; rc == 0 && i < b.n && !is_listing_over(&l); i++)
            if (glob_match(g, bytes_str(b.v[i].name)))
                rc = list_repository(&l, b.v[i].name, b.v[i].id, err);
    }
    free(g);
    return end_list(&l, rc, "]", err);
}

/* ---- quotas ---- */

static void
add_quota_json(const struct rec_quota *r, void *arg)
{
    struct json *j = json_new_object();

    json_set_string(j, "pattern", r->pattern);
    json_set_u64(j, "limit", r->limit);
    json_set_u64(j, "used", r->used);
    json_add(arg, j);
}

static void
print_quota_line(const struct rec_quota *r, void *arg)
{
    char used[PROGRESS_SIZE_MAX], limit[PROGRESS_SIZE_MAX];

    (void)arg;
    progress_size(used, r->used);
    progress_size(limit, r->limit);
    printf("quota of %s: %s of %s\n", r->pattern, used, limit);
}

/* ---- repo du ---- */

struct weighed {
    uint64_t id;
    struct usage usage;
};

static int
compare_weights(const void *a, const void *b)
{
    const struct weighed *x = a, *y = b;

    if (x->usage.bytes != y->usage.bytes)
        return x->usage.bytes < y->usage.bytes ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static struct weighed *
weigh_repositories(struct listing *l, size_t *n, struct err *err)
{
    const struct registry *reg = l->control->reg;
    struct repository_batch b = {.n = REPOSITORY_BATCH};
    struct weighed *v = NULL;
    size_t room = 0;
    int rc = 0;

    *n = 0;
    while (rc == 0 && b.n == REPOSITORY_BATCH && !is_listing_over(l)) {
        rc = repository_next(reg, &b, err);
        for (size_t i = 0; rc == 0 && i < b.n && !is_listing_over(l); i++) {
            progress_tell(&l->progress, "counting: %zu repositories, now %s", *n, b.v[i].name);
            v = mem_grow(v, &room, *n + 1, sizeof *v);
            v[*n].id = b.v[i].id;
            rc = usage_of_repository(reg, b.v[i].id, is_listing_over, l, &v[*n].usage, err);
            *n += v[*n].usage.bytes > 0 || v[*n].usage.trashed > 0;
        }
    }
    if (rc == 0 && *n > 0)
        qsort(v, *n, sizeof *v, compare_weights);
    if (rc == 0)
        return v != NULL ? v : mem_alloc(1);
    free(v);
    return NULL;
}

static struct json *
repository_as_json(const char *name, const struct usage *u)
{
    struct json *j = usage_as_json("name", name, u);

    json_set_u64(j, "deleted", u->trashed);
    json_set_u64(j, "deleted_bytes", u->trashed_bytes);
    return j;
}

static int
print_weighed(struct listing *l, const struct weighed *w, struct err *err)
{
    char name[RECORD_REPOSITORY_MAX + 1];
    int rc = repository_name(l->control->reg, w->id, name, err);

    if (rc == 1 && l->json)
        print_list_item(l, repository_as_json(name, &w->usage));
    else if (rc == 1)
        print_usage_line(&w->usage, name);
    return rc < 0 ? -1 : 0;
}

static void
add_usage(struct usage *sum, const struct usage *u)
{
    sum->bytes += u->bytes;
    sum->own += u->own;
    sum->trashed += u->trashed;
    sum->trashed_bytes += u->trashed_bytes;
}

static void
print_trashed_line(const struct usage *u)
{
    char text[PROGRESS_SIZE_MAX];

    progress_size(text, u->trashed_bytes);
    if (u->trashed > 0)
        printf("%-10s %-10s %" PRIu64 " deleted manifest%s that undo can bring back\n", text, text,
               u->trashed, progress_plural(u->trashed));
}

static void
print_usage_sum(const struct usage *sum, size_t n)
{
    char what[100];

    snprintf(what, sizeof what, "%zu repositor%s together; a shared layer counts in each", n,
             n == 1 ? "y" : "ies");
    print_usage_line(sum, what);
    print_trashed_line(sum);
}

enum command_exit
repo_list_usage(struct control *c, bool json, struct err *err)
{
    struct listing l = {.control = c, .json = json};
    struct usage sum = {.bytes = 0};
    struct weighed *v;
    size_t n;
    int rc = 0;

    progress_begin(&l.progress);
    v = weigh_repositories(&l, &n, err);
    progress_end(&l.progress);
    if (v == NULL)
        return COMMAND_FAILED;
    if (json)
        putchar('[');
    else if (n > 0)
        puts("SIZE       OWN        REPOSITORY");
    for (size_t i = 0; rc == 0 && i < n && !is_listing_over(&l); i++) {
        rc = print_weighed(&l, &v[i], err);
        add_usage(&sum, &v[i].usage);
    }
    free(v);
    if (rc == 0 && !json && n > 0)
        print_usage_sum(&sum, n);
    if (rc == 0 && !json)
        rc = quota_each(c->reg, NULL, print_quota_line, NULL, err);
    return end_list(&l, rc, "]", err);
}

/* ---- repo du NAME ---- */

struct tag_batch {
    char after[RECORD_TAG_MAX + 1];
    struct {
        char name[RECORD_TAG_MAX + 1];
        struct digest target;
    } v[PAGE];
    size_t n;
};

static int
add_tag_to_batch(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    struct tag_batch *b = arg;

    (void)err;
    snprintf(b->v[b->n].name, sizeof b->v[0].name, "%s", tag);
    b->v[b->n].target = r->target;
    return ++b->n == PAGE;
}

static void
print_usage_of(struct listing *l, const char *name, const char *value, const struct usage *u)
{
    progress_end(&l->progress);
    if (l->json)
        print_list_item(l, usage_as_json(name, value, u));
    else
        print_usage_line(u, value);
}

static int
list_tag_sizes(struct listing *l, uint64_t repo, struct err *err)
{
    const struct registry *reg = l->control->reg;
    struct tag_batch *b = mem_alloc(sizeof *b);
    struct usage u;
    int rc = 0;

    b->n = PAGE;
    while (rc == 0 && b->n == PAGE && !is_listing_over(l)) {
        b->n = 0;
        rc = tbl_tag_each(kv_reads(reg->kv), repo, b->after, add_tag_to_batch, b, err);
        for (size_t i = 0; rc == 0 && i < b->n && !is_listing_over(l); i++) {
            rc = usage_of_tag(reg, repo, b->v[i].name, &b->v[i].target, &u, err);
            if (rc == 0)
                print_usage_of(l, "tag", b->v[i].name, &u);
        }
        if (b->n > 0)
            memcpy(b->after, b->v[b->n - 1].name, sizeof b->after);
    }
    free(b);
    return rc;
}

struct manifest_batch {
    uint64_t repo;
    struct digest v[PAGE];
    size_t n;
};

static int
add_manifest_to_batch(uint64_t repo, const struct digest *d, const struct rec_manifest *r,
                      void *arg, struct err *err)
{
    struct manifest_batch *b = arg;

    (void)r;
    (void)err;
    if (repo != b->repo)
        return 1;
    b->v[b->n++] = *d;
    return b->n == PAGE;
}

/* Parts of indexes are counted with these. */
static int
list_manifest_without_tag(struct listing *l, uint64_t repo, const struct digest *d, struct err *err)
{
    static const struct digest none = {.algo = DIGEST_NONE};
    const struct registry *reg = l->control->reg;
    char text[DIGEST_TEXT_MAX];
    struct reach by;
    struct usage u;
    int rc = reach_find(kv_reads(reg->kv), repo, d, &none, NULL, &by, err);

    if (rc < 0 || by.kind == REACH_TAG || by.kind == REACH_INDEX)
        return rc < 0 ? -1 : 0;
    if (usage_of_manifest(reg, repo, d, &u, err) != 0)
        return -1;
    digest_text(text, d);
    print_usage_of(l, "untagged", text, &u);
    return 0;
}

static int
list_manifests_without_tags(struct listing *l, uint64_t repo, struct err *err)
{
    struct manifest_batch b = {.repo = repo, .n = PAGE};
    struct digest after = {.algo = DIGEST_NONE};
    int rc = 0;

    while (rc == 0 && b.n == PAGE && !is_listing_over(l)) {
        b.n = 0;
        rc = tbl_manifest_each(kv_reads(l->control->reg->kv), repo, &after, add_manifest_to_batch,
                               &b, err);
        for (size_t i = 0; rc == 0 && i < b.n && !is_listing_over(l); i++)
            rc = list_manifest_without_tag(l, repo, &b.v[i], err);
        if (b.n > 0)
            after = b.v[b.n - 1];
    }
    return rc;
}

static int
print_usage_of_all(struct listing *l, const char *name, const struct usage *u, struct err *err)
{
    const struct registry *reg = l->control->reg;
    struct json *j, *list;
    int rc;

    if (l->json) {
        j = repository_as_json(name, u);
        list = json_new_array();
        rc = quota_each(reg, name, add_quota_json, list, err);
        if (json_length(list) > 0)
            json_set(j, "quotas", list);
        else
            json_free(list);
        command_print("],\n\"all\":", j, "}");
        return rc;
    }
    print_usage_line(u, "all together, each layer counted once");
    print_trashed_line(u);
    return quota_each(reg, name, print_quota_line, NULL, err);
}

enum command_exit
repo_list_usage_of(struct control *c, const char *repository, bool json, struct err *err)
{
    struct listing l = {.control = c, .json = json};
    struct rec_repo repo;
    struct usage u;
    int rc;

    if (repository_need(c->reg, repository, &repo, err) != 0)
        return COMMAND_FAILED;
    progress_begin(&l.progress);
    fputs(json ? "{\"parts\":[" : "SIZE       OWN        TAG OR MANIFEST WITHOUT ONE\n", stdout);
    rc = list_tag_sizes(&l, repo.id, err);
    if (rc == 0)
        rc = list_manifests_without_tags(&l, repo.id, err);
    progress_tell(&l.progress, "counting");
    if (rc == 0)
        rc = usage_of_repository(c->reg, repo.id, is_listing_over, &l, &u, err);
    progress_end(&l.progress);
    if (rc == 0 && !is_listing_over(&l))
        rc = print_usage_of_all(&l, repository, &u, err);
    return end_list(&l, rc, "", err);
}
