#include "protocol/http/reply_error.h"

#include "protocol/http/error_detail.h"
#include "protocol/http/error_table.h"
#include "protocol/http/http_auth.h"
#include "util/log.h"
#include "util/banned.h"

static void
add_oci_error(struct json *errors, const struct call *c, const char *code, const struct err *err,
              const char *digest)
{
    struct json *one = json_new_object();

    json_set_string(one, "code", code);
    json_set_string(one, "message", err->message);
    json_set(one, "detail", error_detail_make(c, err, digest));
    json_add(errors, one);
}

static struct json *
oci_body(const struct call *c, const char *code, const struct err *err)
{
    struct json *body = json_new_object(), *errors = json_new_array();

    if (err->about_n == 0)
        add_oci_error(errors, c, code, err, NULL);
    for (size_t i = 0; i < err->about_n; i++)
        add_oci_error(errors, c, code, err, err->about[i]);
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

    if (row->status == 500)
        log_line(LOG_ERROR, "a request failed", "method=%s path=%s why=%s", c->req->method_text,
                 c->req->raw_path, err->message);
    if (row->status == 401 && form == ERROR_FORM_V1)
        http_auth_challenge(c);
    else if (row->status == 401)
        http_reply_header(c->reply, "WWW-Authenticate", "Basic realm=\"registry\"");
    http_reply_header(c->reply, "Retry-After", row->retry_after);
    if (call_json(c, row->status,
                  form == ERROR_FORM_OCI ? oci_body(c, row->code, err) : v1_body(err), &again) != 0)
        call_empty(c, row->status);
}
