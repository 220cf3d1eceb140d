#include "domain/core/condition.h"

static bool
is_among(const struct condition_tags *tags, const struct digest *now)
{
    bool found = tags->any && now->algo != DIGEST_NONE;

    for (size_t i = 0; i < tags->n && !found; i++)
        found = digest_equal(&tags->v[i], now);
    return found;
}

int
condition_check(const struct condition *c, const struct digest *now, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    if (c == NULL || ((!c->match.given || is_among(&c->match, now)) &&
                      (!c->none_match.given || !is_among(&c->none_match, now))))
        return 0;
    if (now->algo == DIGEST_NONE)
        return err_set(err, ERR_CONDITION, "nothing exists that If-Match could match");
    digest_text(text, now);
    err_set(err, ERR_CONDITION, "If-Match or If-None-Match forbids to replace %s", text);
    return err_found(err, "%s", text);
}
