#include "protocol/http/reply_error.h"

#include "protocol/http/error_detail.h"
#include "protocol/http/http_auth.h"
#include "util/log.h"
#include "util/banned.h"

struct meaning {
    int status;
    const char *code;
    const char *retry_after; /* seconds, or NULL */
};

static struct meaning
meaning_of(enum err_code code)
{
    switch (code) {
    case ERR_NONE:
    case ERR_SYSTEM:
    case ERR_CORRUPT:
        break;
    case ERR_NO_SPACE:
        return (struct meaning){503, "UNAVAILABLE", "30"};
    case ERR_BUSY:
        return (struct meaning){503, "UNAVAILABLE", "1"};
    case ERR_BAD_REQUEST:
        return (struct meaning){400, "UNSUPPORTED", NULL};
    case ERR_BAD_NAME:
        return (struct meaning){400, "NAME_INVALID", NULL};
    case ERR_BAD_TAG:
        return (struct meaning){400, "TAG_INVALID", NULL};
    case ERR_BAD_DIGEST:
    case ERR_DIGEST_MISMATCH:
        return (struct meaning){400, "DIGEST_INVALID", NULL};
    case ERR_BAD_SIZE:
        return (struct meaning){400, "SIZE_INVALID", NULL};
    case ERR_BAD_RANGE:
        return (struct meaning){416, "BLOB_UPLOAD_INVALID", NULL};
    case ERR_BAD_EXTENT:
        return (struct meaning){416, "SIZE_INVALID", NULL};
    case ERR_BAD_MANIFEST:
    case ERR_BAD_IMAGE:
        return (struct meaning){400, "MANIFEST_INVALID", NULL};
    case ERR_TOO_LARGE:
        return (struct meaning){413, "SIZE_INVALID", NULL};
    case ERR_TOO_LONG:
        return (struct meaning){414, "UNSUPPORTED", NULL};
    case ERR_IN_USE:
        return (struct meaning){405, "UNSUPPORTED", NULL};
    case ERR_EXISTS:
        return (struct meaning){409, "DENIED", NULL};
    case ERR_TOO_MANY:
        return (struct meaning){429, "TOOMANYREQUESTS", "5"};
    case ERR_FULL:
        return (struct meaning){403, "DENIED", NULL};
    case ERR_NO_ROUTE:
        return (struct meaning){404, "NAME_UNKNOWN", NULL};
    case ERR_NO_METHOD:
        return (struct meaning){405, "UNSUPPORTED", NULL};
    case ERR_NO_REPOSITORY:
        return (struct meaning){404, "NAME_UNKNOWN", NULL};
    case ERR_NO_MANIFEST:
    case ERR_NO_IMAGE:
    case ERR_NOT_CONVERTED:
    case ERR_UNCONVERTIBLE:
        return (struct meaning){404, "MANIFEST_UNKNOWN", NULL};
    case ERR_NO_BLOB:
        return (struct meaning){404, "BLOB_UNKNOWN", NULL};
    case ERR_NO_UPLOAD:
        return (struct meaning){404, "BLOB_UPLOAD_UNKNOWN", NULL};
    case ERR_MISSING_PARTS:
        return (struct meaning){404, "MANIFEST_BLOB_UNKNOWN", NULL};
    case ERR_NO_FILE:
        return (struct meaning){404, "NOT_FOUND", NULL};
    case ERR_NOT_BROWSABLE:
        return (struct meaning){422, "UNSUPPORTED", NULL};
    case ERR_UNAUTHORIZED:
        return (struct meaning){401, "UNAUTHORIZED", NULL};
    case ERR_DENIED:
        return (struct meaning){403, "DENIED", NULL};
    case ERR_UNSUPPORTED:
        return (struct meaning){400, "UNSUPPORTED", NULL};
    }
    return (struct meaning){500, "UNKNOWN", NULL};
}

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

    /* The original's words, which are all that a client shows. */
    json_set_string(body, "error",
                    err->code == ERR_UNAUTHORIZED ? "Requires authorization" : err->message);
    return body;
}

void
reply_error(struct call *c, enum error_form form, const struct err *err)
{
    struct meaning m = meaning_of(err->code);
    struct err again;

    if (m.status == 500)
        log_line(LOG_ERROR, "a request failed", "method=%s path=%s why=%s", c->req->method_text,
                 c->req->raw_path, err->message);
    if (m.status == 401 && form == ERROR_FORM_V1)
        http_auth_challenge(c);
    else if (m.status == 401)
        http_reply_header(c->reply, "WWW-Authenticate", "Basic realm=\"registry\"");
    http_reply_header(c->reply, "Retry-After", m.retry_after);
    if (call_json(c, m.status, form == ERROR_FORM_OCI ? oci_body(c, m.code, err) : v1_body(err),
                  &again) != 0)
        call_empty(c, m.status);
}
