#include "protocol/http/reference.h"
#include "domain/name.h"

int
reference_parse_digest(const char *text, struct digest *d, struct err *err)
{
    return digest_parse(d, text, strlen(text), err) == 0 ? 0 : err_found(err, "%s", text);
}

int
reference_check_tag(const char *text, struct err *err)
{
    if (name_is_tag(text))
        return 0;
    err_set(err, ERR_BAD_TAG, "%s is not a valid tag", text);
    return err_found(err, "%s", text);
}

/* Every digest has a colon, and no tag has one. */
int
reference_parse(const char *text, struct reference *r, struct err *err)
{
    *r = (struct reference){.tag = NULL};
    if (strchr(text, ':') != NULL)
        return reference_parse_digest(text, &r->digest, err);
    r->tag = text;
    return reference_check_tag(text, err);
}
