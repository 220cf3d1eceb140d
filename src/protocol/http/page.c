#include "protocol/http/page.h"
#include "util/arena.h"
#include "util/parse.h"

static int
refuse_page_size(const char *n, struct err *err)
{
    err_set(err, ERR_BAD_REQUEST, "n must be a number");
    err_expected(err, "the most entries of a page, such as n=100");
    return err_found(err, "n=%s", n);
}

int
page_limit(const struct call *c, size_t *limit, struct err *err)
{
    const char *n = query_get(&c->query, "n");
    uint64_t value;

    *limit = PAGE_MAX;
    if (n == NULL || *n == '\0')
        return 0;
    if (strspn(n, "0123456789") != strlen(n))
        return refuse_page_size(n, err);
    if (parse_u64(n, strlen(n), &value) && value < PAGE_MAX)
        *limit = (size_t)value;
    return 0;
}

void
page_escape(struct buf *out, struct bytes b)
{
    const char *p = b.p;

    for (size_t i = 0; i < b.n; i++) {
        if ((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'z') ||
            (p[i] >= 'A' && p[i] <= 'Z') || (p[i] != '\0' && strchr("-._~/", p[i]) != NULL))
            buf_putc(out, p[i]);
        else
            buf_putf(out, "%%%02X", (unsigned char)p[i]);
    }
}

int
page_link_more(struct call *c, const char *path, size_t limit, struct bytes last, const char *more,
               struct err *err)
{
    struct buf link;
    const char *text;

    buf_init(&link, 65536);
    buf_putf(&link, "<%s%s?n=%zu&last=", call_base(c), path, limit);
    page_escape(&link, last);
    buf_putf(&link, "%s>; rel=\"next\"", more);
    text = buf_ok(&link) ? arena_strdup(c->arena, buf_text(&link)) : NULL;
    buf_free(&link);
    if (text == NULL)
        return arena_full(err);
    http_reply_header(c->reply, "Link", text);
    return 0;
}

int
page_link(struct call *c, const char *path, size_t limit, const char *last, struct err *err)
{
    return page_link_more(c, path, limit, bytes_str(last), "", err);
}

void
page_put_parameter(const struct call *c, struct buf *out, const char *name)
{
    const char *value = query_get(&c->query, name);

    if (value == NULL)
        return;
    buf_putf(out, "&%s=", name);
    page_escape(out, bytes_str(value));
}
