#include "protocol/v2/v2_referrers.h"
#include "domain/core/referrers.h"
#include "protocol/http/page.h"
#include "protocol/http/reference.h"

struct listing {
    struct json *manifests;
    struct digest last;
};

static int
add_referrer(struct referrer *r, void *arg, struct err *err)
{
    struct listing *l = arg;
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
    json_add(l->manifests, one);
    l->last = r->digest;
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

int
v2_referrers_list(struct call *c, struct err *err)
{
    const char *type = query_get(&c->query, "artifactType"), *last = query_get(&c->query, "last");
    struct digest subject, after = {.algo = DIGEST_NONE};
    struct listing l = {.last = after};
    char text[DIGEST_TEXT_MAX];
    const char *path;
    size_t limit;
    bool more;

    if (reference_parse_digest(c->last, &subject, err) != 0 || page_limit(c, &limit, err) != 0 ||
        (last != NULL && reference_parse_digest(last, &after, err) != 0) ||
        call_text(c, &path, err, "/v2/%s/referrers/%s", c->name, c->last) != 0)
        return -1;
    if (type != NULL && type[0] == '\0')
        type = NULL;
    l.manifests = json_new_array();
    if (referrers_each(c->reg, c->name, &subject, type, &after, limit, c->arena, add_referrer, &l,
                       &more, err) != 0) {
        json_free(l.manifests);
        return -1;
    }
    if (type != NULL)
        http_reply_header(c->reply, "OCI-Filters-Applied", "artifactType");
    digest_text(text, &l.last);
    if (more && l.last.algo != DIGEST_NONE && page_link(c, path, limit, text, err) != 0) {
        json_free(l.manifests);
        return -1;
    }
    return reply_referrers(c, l.manifests, err);
}
