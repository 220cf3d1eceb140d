#include "protocol/v2_base.h"

#include <string.h>

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
