#include "protocol/v2/v2_manifest.h"
#include "domain/core/delete.h"
#include "domain/core/push.h"
#include "domain/retention/last_pull.h"
#include "protocol/http/reference.h"

static int
add_manifest_headers(struct call *c, const char *digest, const char *media_type, struct err *err)
{
    const char *type;

    if (call_text(c, &type, err, "%s", media_type) != 0)
        return -1;
    http_reply_header(c->reply, "Docker-Content-Digest", digest);
    http_reply_header(c->reply, "Content-Type", type);
    return call_header(c, err, "ETag", "\"%s\"", digest);
}

int
v2_manifest_get(struct call *c, struct err *err)
{
    char text[DIGEST_TEXT_MAX];
    struct reference reference;
    struct pulled pulled;
    const char *digest;
    bool head = c->req->method == HTTP_HEAD;

    if (reference_parse(c->last, &reference, err) != 0) {
        /* An invalid tag names nothing. */
        if (err->code == ERR_BAD_TAG)
            err->code = ERR_NO_MANIFEST;
        return -1;
    }
    /* Also for HEAD: what GET can't serve isn't there. */
    if (pull_manifest(c->reg, c->name, &reference, true, c->arena, &pulled, err) != 0)
        return -1;
    if (!head)
        last_pull_note(c->reg, pulled.repo, c->last);
    digest_text(text, &pulled.digest);
    if (call_text(c, &digest, err, "%s", text) != 0 ||
        add_manifest_headers(c, digest, pulled.media_type, err) != 0)
        return -1;
    if (call_is_unchanged(c, digest))
        return call_empty(c, 304);
    if (pulled.path[0] != '\0')
        return call_file(c, pulled.path, pulled.size, FILE_WHOLE, "no-cache", err);
    http_reply_header(c->reply, "Cache-Control", "no-cache");
    c->reply->status = 200;
    c->reply->body = pulled.document;
    c->reply->length_known = true;
    c->reply->length = pulled.size;
    return 0;
}

/* The Content-Type without its parameters. */
static int
plain_content_type(struct call *c, const char **out, struct err *err)
{
    const char *type = c->req->content_type;
    size_t n = strcspn(type, "; \t");

    if (call_text(c, out, err, "%.*s", (int)n, type) != 0)
        return -1;
    return 0;
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The tags for the manifest: the one in the path, or behind a digest those of ?tag=, which may
 * repeat (OCI distribution-spec main, "Pushing Manifests"). Sorted, without doubles. */
static int
collect_query_tags(const struct call *c, const struct reference *reference, const char **tags,
                   size_t *n, struct err *err)
{
    size_t kept = 0;

    *n = 0;
    if (reference->tag != NULL)
        tags[(*n)++] = reference->tag;
    for (size_t i = 0; i < c->query.n && reference->tag == NULL; i++) {
        if (strcmp(c->query.parameters[i].name, "tag") != 0)
            continue;
        if (reference_check_tag(c->query.parameters[i].value, err) != 0)
            return -1;
        if (*n == PUSH_TAGS_MAX)
            return err_set(err, ERR_TOO_LONG, "at most %d tags at once", PUSH_TAGS_MAX);
        tags[(*n)++] = c->query.parameters[i].value;
    }
    qsort(tags, *n, sizeof *tags, compare_texts);
    for (size_t i = 0; i < *n; i++)
        if (kept == 0 || strcmp(tags[kept - 1], tags[i]) != 0)
            tags[kept++] = tags[i];
    *n = kept;
    return 0;
}

static int
reply_pushed(struct call *c, const struct push *p, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, &p->digest);
    if (call_header(c, err, "Docker-Content-Digest", "%s", text) != 0 ||
        call_header(c, err, "Location", "%s/v2/%s/manifests/%s", call_base(c), c->name, text) != 0)
        return -1;
    if (strchr(c->last, ':') != NULL)
        for (size_t i = 0; i < p->tags_n; i++)
            http_reply_header(c->reply, "OCI-Tag", p->tags[i]);
    if (p->manifest.has_subject) {
        digest_text(text, &p->manifest.subject);
        if (call_header(c, err, "OCI-Subject", "%s", text) != 0)
            return -1;
    }
    return call_empty(c, 201);
}

int
v2_manifest_put(struct call *c, struct err *err)
{
    struct condition condition;
    struct push p = {.repository = c->name, .document = c->req->body, .actor = &c->actor};
    const char *tags[PUSH_TAGS_MAX];
    struct reference reference;

    if (reference_parse(c->last, &reference, err) != 0 || call_condition(c, &condition, err) != 0 ||
        collect_query_tags(c, &reference, tags, &p.tags_n, err) != 0 ||
        plain_content_type(c, &p.content_type, err) != 0)
        return -1;
    p.digest = reference.digest;
    p.tags = tags;
    *(reference.tag != NULL ? &p.tag_condition : &p.condition) = &condition;
    if (push_manifest(c->reg, &p, c->arena, err) != 0)
        return -1;
    return reply_pushed(c, &p, err);
}

int
v2_manifest_delete(struct call *c, struct err *err)
{
    struct condition condition;
    struct reference reference;
    int rc;

    if (reference_parse(c->last, &reference, err) != 0 || call_condition(c, &condition, err) != 0)
        return -1;
    if (reference.tag != NULL)
        rc = delete_tag(c->reg, c->name, reference.tag, &condition, &c->actor, c->arena, err);
    else
        rc = delete_manifest(c->reg, c->name, &reference.digest, &condition, &c->actor, c->arena,
                             err);
    return rc != 0 ? -1 : call_empty(c, 202);
}
