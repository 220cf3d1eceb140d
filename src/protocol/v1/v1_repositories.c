#include "protocol/v1/v1_repositories.h"
#include "domain/core/delete_all.h"
#include "domain/name.h"
#include "domain/v1/image_list.h"
#include "domain/core/repository.h"
#include "protocol/v1/v1_base.h"
#include "util/arena.h"

/* Deep enough for {"id": ...} in a list. */
#define LIST_DEPTH_MAX 8

/* ---- a push ---- */

static int
check_list(struct call *c, struct err *err)
{
    struct json *body;
    enum json_type type;

    if (v1_base_body(c, LIST_DEPTH_MAX, &body, err) != 0)
        return -1;
    type = json_type(body);
    json_free(body);
    return type == JSON_ARRAY ? 0 : err_set(err, ERR_BAD_REQUEST, "the body must be a list");
}

int
v1_repositories_begin(struct call *c, struct err *err)
{
    return check_list(c, err) != 0 ? -1 : v1_base_done(c);
}

int
v1_repositories_finish(struct call *c, struct err *err)
{
    return check_list(c, err) != 0 ? -1 : call_empty(c, 204);
}

int
v1_repositories_auth(struct call *c, struct err *err)
{
    (void)err;
    return call_body(c, 200, "application/json", bytes_str("\"OK\""));
}

/* ---- its images ---- */

int
v1_repositories_images(struct call *c, struct err *err)
{
    const struct platform *platform;
    struct digest *ids;
    struct json *body;
    size_t n;

    if (v1_base_platform(c, &platform, err) != 0 ||
        image_list_images(c->reg, c->name, platform, c->arena, &ids, &n, err) != 0)
        return -1;
    body = json_new_array();
    for (size_t i = 0; i < n; i++) {
        struct json *one = json_new_object();
        char hex[DIGEST_TEXT_MAX];

        digest_hex(hex, &ids[i]);
        json_set_string(one, "id", hex);
        json_add(body, one);
    }
    return call_json(c, 200, body, err);
}

int
v1_repositories_unlist(struct call *c, struct err *err)
{
    (void)err;
    return call_empty(c, 204);
}

int
v1_repositories_delete(struct call *c, struct err *err)
{
    struct condition condition;
    size_t n;

    if (call_condition(c, &condition, err) != 0)
        return -1;
    if ((condition.match.given && !condition.match.any) || condition.none_match.any)
        return err_set(err, ERR_CONDITION,
                       "all tags of a repository together have no entity tag: delete one by one");
    if (delete_all_tags(c->reg, c->name, &c->actor, &n, err) != 0)
        return -1;
    if (n == 0)
        return err_set(err, ERR_NO_REPOSITORY, "Repository not found");
    return v1_base_done(c);
}

/* ---- all repositories ---- */

struct entry {
    const char *full; /* name:tag */
    const char *name; /* as the original shows it: without :latest, and without library/ if the
                       * short name finds it */
    struct digest id;
};

struct listing {
    const struct registry *reg;
    const struct actor *actor;
    struct arena *arena;
    const char *repository; /* the last one */
    const char *called;     /* and its name here */
    struct entry *entries;
    size_t n;
};

/* The short name, if a client that uses it would mean this repository. */
static int
name_repository(struct listing *l, const char *repository, struct err *err)
{
    const char *name = name_short(repository), *meant;

    if (l->repository != NULL && strcmp(l->repository, repository) == 0)
        return 0;
    l->repository = arena_strdup(l->arena, repository);
    l->called = arena_strdup(l->arena, name);
    if (l->repository == NULL || l->called == NULL)
        return err_set(err, ERR_TOO_LARGE, "too many tags");
    if (strcmp(name, repository) == 0)
        return 0;
    if (repository_meant(l->reg, l->actor, l->called, l->arena, &meant, err) != 0)
        return -1;
    if (strcmp(meant, repository) != 0)
        l->called = l->repository;
    return 0;
}

static int
put_listed_image(const char *repository, const char *tag, const struct digest *id, void *arg,
                 struct err *err)
{
    struct listing *l = arg;
    struct entry *e = &l->entries[l->n];

    if (l->n == IMAGE_LIST_MAX)
        return err_set(err, ERR_TOO_LARGE, "more than %d tags: use /v2/_catalog", IMAGE_LIST_MAX);
    if (name_repository(l, repository, err) != 0)
        return -1;
    e->full = arena_printf(l->arena, "%s:%s", repository, tag);
    e->name =
        strcmp(tag, "latest") == 0 ? l->called : arena_printf(l->arena, "%s:%s", l->called, tag);
    e->id = *id;
    l->n++;
    return e->full != NULL && e->name != NULL ? 0 : err_set(err, ERR_TOO_LARGE, "too many tags");
}

static int
by_full_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->full, ((const struct entry *)b)->full);
}

int
v1_repositories_list(struct call *c, struct err *err)
{
    struct listing l = {.reg = c->reg,
                        .actor = &c->actor,
                        .arena = c->arena,
                        .entries = arena_array(c->arena, IMAGE_LIST_MAX, sizeof *l.entries)};
    struct json *body;

    if (l.entries == NULL)
        return arena_full(err);
    if (image_list_everywhere(c->reg, &c->actor, put_listed_image, &l, err) != 0)
        return -1;
    if (l.n > 0)
        qsort(l.entries, l.n, sizeof *l.entries, by_full_name);
    body = json_new_object();
    for (size_t i = 0; i < l.n; i++) {
        char hex[DIGEST_TEXT_MAX];

        digest_hex(hex, &l.entries[i].id);
        json_set_string(body, l.entries[i].name, hex);
    }
    return call_json(c, 200, body, err);
}
