#include "protocol/v2/v2_base.h"

#include <string.h>

#include "domain/core/name.h"
#include "util/banned.h"

int
v2_base(struct call *c, struct err *err)
{
    return call_json(c, 200, json_new_object(), err);
}

int
v2_digest(const char *text, struct digest *d, struct err *err)
{
    return digest_parse(d, text, strlen(text), err) == 0 ? 0 : err_found(err, "%s", text);
}

int
v2_tag(const char *text, struct err *err)
{
    if (name_is_tag(text))
        return 0;
    err_set(err, ERR_BAD_TAG, "%s is no valid tag", text);
    return err_found(err, "%s", text);
}

/* Every digest has a colon, and no tag has one. */
int
v2_reference(const char *text, struct reference *r, struct err *err)
{
    *r = (struct reference){.tag = NULL};
    if (strchr(text, ':') != NULL)
        return v2_digest(text, &r->digest, err);
    r->tag = text;
    return v2_tag(text, err);
}

bool
v2_is_unchanged(const struct call *c, const char *digest_text)
{
    const char *tags = c->req->header(c->req, "HTTP_IF_NONE_MATCH");
    size_t n = strlen(digest_text);

    if (tags == NULL)
        return false;
    /* RFC 9110 wants quotes, some clients leave them out. */
    if (strcmp(tags, "*") == 0 || strcmp(tags, digest_text) == 0)
        return true;
    for (const char *p = tags; (p = strstr(p, digest_text)) != NULL; p += n)
        if (p > tags && p[-1] == '"' && p[n] == '"')
            return true;
    return false;
}
