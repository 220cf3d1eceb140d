#include "protocol/v2/v2_referrers.h"
#include "domain/core/referrers.h"
#include "protocol/http/page.h"
#include "protocol/http/reference.h"

static int
add_referrer(struct referrer *r, void *arg, struct err *err)
{
    struct json *manifests = arg;
    struct json *one = json_new_object();
    char text[DIGEST_TEXT_MAX];

    (void)err;
    digest_text(text, &r->digest);
    json_set_string(one, "mediaType", r->media_type);
    json_set_u64(one, "size", r->size);
    json_set_string(one, "digest", text);
    if (r->artifact_type[0] != '\0')
        json_set_string(one, "artifactType", r->artifact_type);
    if (r->annotations != NULL)
        json_set(one, "annotations", r->annotations);
    json_add(manifests, one);
    return 0;
}

static int
reply_referrers(struct call *c, struct json *manifests, struct err *err)
{
    struct json *body = json_new_object();

    json_set_u64(body, "schemaVersion", 2);
    json_set_string(body, "mediaType", "application/vnd.oci.image.index.v1+json");
    json_set(body, "manifests", manifests);
    return call_json_as(c, 200, "application/vnd.oci.image.index.v1+json", body, err);
}

/* The link to the next page, with the same filter. */
static int
link_next_page(struct call *c, const struct referrers_page *page, struct err *err)
{
    char last[DIGEST_TEXT_MAX];
    struct buf filter;
    const char *path;
    int rc = 0;

    if (!page->more || page->last.algo == DIGEST_NONE)
        return 0;
    digest_text(last, &page->last);
    buf_init(&filter, 65536);
    if (page->artifact_type != NULL) {
        buf_puts(&filter, "&artifactType=");
        page_escape(&filter, bytes_str(page->artifact_type));
    }
    if (!buf_ok(&filter))
        rc = arena_full(err);
    if (rc == 0)
        rc = call_text(c, &path, err, "/v2/%s/referrers/%s", c->name, c->last);
    if (rc == 0)
        rc = page_link_more(c, path, page->limit, bytes_str(last), buf_text(&filter), err);
    buf_free(&filter);
    return rc;
}

int
v2_referrers_list(struct call *c, struct err *err)
{
    const char *type = query_get(&c->query, "artifactType"), *last = query_get(&c->query, "last");
    struct referrers_page page = {.artifact_type = type != NULL && type[0] != '\0' ? type : NULL};
    struct json *manifests;
    struct digest subject;

    if (reference_parse_digest(c->last, &subject, err) != 0 ||
        page_limit(c, &page.limit, err) != 0 ||
        (last != NULL && last[0] != '\0' && reference_parse_digest(last, &page.after, err) != 0))
        return -1;
    manifests = json_new_array();
    if (referrers_each(c->reg, c->name, &subject, &page, c->arena, add_referrer, manifests, err) !=
            0 ||
        link_next_page(c, &page, err) != 0) {
        json_free(manifests);
        return -1;
    }
    if (page.artifact_type != NULL)
        http_reply_header(c->reply, "OCI-Filters-Applied", "artifactType");
    return reply_referrers(c, manifests, err);
}
