#include "protocol/http/error_detail.h"

#include <string.h>

#include "protocol/http/error_table.h"
#include "util/banned.h"

/* The longest text from outside, in bytes. Longer ones are cut. */
#define TEXT_MAX 300

/* The value may hold any bytes, but JSON is UTF-8: other bytes than printable ASCII become '?'. */
static void
set_detail_text(struct json *object, const char *name, const char *value)
{
    char text[TEXT_MAX + 1];
    size_t n = 0;

    if (value == NULL || value[0] == '\0')
        return;
    for (; value[n] != '\0' && n < TEXT_MAX; n++)
        text[n] = value[n] < 0x20 || value[n] > 0x7e ? '?' : value[n];
    text[n] = '\0';
    json_set_string(object, name, text);
}

/* "{digest}" of the route, without the braces. */
static void
set_variable(struct json *object, const struct call *c)
{
    char name[32];
    size_t n = c->last_name != NULL ? strcspn(c->last_name + 1, "}") : 0;

    if (n == 0 || n >= sizeof name)
        return;
    memcpy(name, c->last_name + 1, n);
    name[n] = '\0';
    set_detail_text(object, name, c->last);
}

struct json *
error_detail_make(const struct call *c, const struct err *err, const char *digest)
{
    const struct error_row *row = error_table_row(err->code);
    struct json *detail = json_new_object();

    set_detail_text(detail, "repository", c->name);
    if (digest != NULL)
        set_detail_text(detail, "digest", digest);
    else
        set_variable(detail, c);
    if (c->name == NULL)
        set_detail_text(detail, "path", c->req->raw_path);
    if (err->code == ERR_NOT_CONVERTED)
        set_detail_text(detail, "reason", "converting");
    set_detail_text(detail, "expected", err->expected[0] != '\0' ? err->expected : row->expected);
    set_detail_text(detail, err->code == ERR_UNCONVERTIBLE ? "reason" : "found", err->found);
    set_detail_text(detail, "hint", row->hint);
    return detail;
}
