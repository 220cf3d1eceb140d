#include "protocol/http/reply_error.h"
#include "protocol/http/error_table.h"
#include "protocol/http/http_auth.h"
#include "util/log.h"

/* The longest text from outside, in bytes. Longer ones are cut. */
#define DETAIL_TEXT_MAX 300

/* The value may hold any bytes, but JSON is UTF-8: other bytes than printable ASCII become '?'. */
static void
set_detail_text(struct json *object, const char *name, const char *value)
{
    char text[DETAIL_TEXT_MAX + 1];
    size_t n = 0;

    if (value == NULL || value[0] == '\0')
        return;
    for (; value[n] != '\0' && n < DETAIL_TEXT_MAX; n++)
        text[n] = value[n] < 0x20 || value[n] > 0x7e ? '?' : value[n];
    text[n] = '\0';
    json_set_string(object, name, text);
}

/* "{digest}" of the route, without the braces. */
static void
set_route_variable(struct json *object, const struct call *c)
{
    char name[32];
    size_t n = c->last_name != NULL ? strcspn(c->last_name + 1, "}") : 0;

    if (n == 0 || n >= sizeof name)
        return;
    memcpy(name, c->last_name + 1, n);
    name[n] = '\0';
    set_detail_text(object, name, c->last);
}

/* digest: a digest that the error is about and that isn't in the path; or NULL. */
static struct json *
error_detail(const struct call *c, const struct err *err, const char *digest)
{
    const struct error_row *row = error_table_row(err->code);
    struct json *detail = json_new_object();

    set_detail_text(detail, "repository", c->name);
    if (digest != NULL)
        set_detail_text(detail, "digest", digest);
    else
        set_route_variable(detail, c);
    if (c->name == NULL)
        set_detail_text(detail, "path", c->req->raw_path);
    if (err->code == ERR_NOT_CONVERTED)
        set_detail_text(detail, "reason", "converting");
    set_detail_text(detail, "expected", err->expected[0] != '\0' ? err->expected : row->expected);
    set_detail_text(detail, err->code == ERR_UNCONVERTIBLE ? "reason" : "found", err->found);
    set_detail_text(detail, "hint", row->hint);
    set_detail_text(detail, "request_id", c->req->id);
    return detail;
}

static void
add_oci_error(struct json *errors, const struct call *c, const char *code, const struct err *err,
              const char *digest)
{
    struct json *one = json_new_object();

    json_set_string(one, "code", code);
    json_set_string(one, "message", err->message);
    json_set(one, "detail", error_detail(c, err, digest));
    json_add(errors, one);
}

/* One more digest that the error is about. A manifest can lack 1001 parts, and nginx has to take
 * all their errors into its buffers, because otherwise the reader would hold the worker. So only
 * the first tells what there is to tell. */
static void
add_further_error(struct json *errors, const char *code, const char *digest)
{
    struct json *one = json_new_object(), *detail = json_new_object();

    json_set_string(one, "code", code);
    json_set_string(one, "message", "this one as well");
    set_detail_text(detail, "digest", digest);
    json_set(one, "detail", detail);
    json_add(errors, one);
}

static struct json *
oci_body(const struct call *c, const char *code, const struct err *err)
{
    struct json *body = json_new_object(), *errors = json_new_array();

    add_oci_error(errors, c, code, err, err->about_n > 0 ? err->about[0] : NULL);
    for (size_t i = 1; i < err->about_n; i++)
        add_further_error(errors, code, err->about[i]);
    json_set(body, "errors", errors);
    return body;
}

static struct json *
v1_body(const struct err *err)
{
    struct json *body = json_new_object();

    /* The original's words. Clients show nothing else. */
    json_set_string(body, "error",
                    err->code == ERR_UNAUTHORIZED ? "Requires authorization" : err->message);
    return body;
}

void
reply_error(struct call *c, enum error_form form, const struct err *err)
{
    const struct error_row *row = error_table_row(err->code);
    struct err again;

    if (row->status == 500 || err->code == ERR_FAULT || err->code == ERR_UNSYNCED)
        log_client_line(LOG_ERROR, "a request failed",
                        "method=%s path=%s user=%s address=%s why=%s", c->req->method_text,
                        c->req->raw_path, c->actor.user, c->req->remote_addr, err->message);
    if (row->status == 401)
        http_auth_challenge(c, form);
    http_reply_header(c->reply, "Retry-After", row->retry_after);
    if (call_json(c, row->status,
                  form == ERROR_FORM_OCI ? oci_body(c, row->code, err) : v1_body(err), &again) != 0)
        call_empty(c, row->status);
}
