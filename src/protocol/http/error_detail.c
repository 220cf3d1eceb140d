#include "protocol/http/error_detail.h"

#include <string.h>

#include "util/banned.h"

/* What came from outside is cut. */
#define TEXT_MAX 300

#define DIGEST_GRAMMAR "sha256: and 64, or sha512: and 128, small hexadecimal digits"
#define NAME_GRAMMAR                                                                               \
    "small letters and digits, in between . or _ or __ or dashes, parts joined by /; at most 255 " \
    "bytes"
#define TAG_GRAMMAR "a letter, digit or _, and then up to 127 of these, dots and dashes"

/* The grammar where there is one, and what to do. */
struct advice {
    const char *expected;
    const char *hint;
};

static struct advice
advice_for(enum err_code code)
{
    switch (code) {
    case ERR_NO_SPACE:
        return (struct advice){NULL, "the registry's disk is full: pulls go on, and pushes will "
                                     "when there is room; tell its administrator"};
    case ERR_BUSY:
        return (struct advice){NULL, "try again after the seconds of Retry-After"};
    case ERR_BAD_REQUEST:
        return (struct advice){NULL, "the request can't be read: see the OCI distribution-spec, "
                                     "and which characters have to be escaped"};
    case ERR_BAD_NAME:
        return (struct advice){NAME_GRAMMAR, "choose another name for the repository"};
    case ERR_BAD_TAG:
        return (struct advice){TAG_GRAMMAR, "choose another tag"};
    case ERR_BAD_DIGEST:
        return (struct advice){DIGEST_GRAMMAR, "give the whole digest, as docker prints it"};
    case ERR_DIGEST_MISMATCH:
        return (struct advice){NULL, "what came was changed on its way, or the digest is of "
                                     "something else; it is dropped: send it again"};
    case ERR_BAD_SIZE:
        return (struct advice){NULL, "the range has to be as long as the piece that comes"};
    case ERR_BAD_RANGE:
        return (struct advice){NULL, "Range tells how far the upload is: go on behind it, or "
                                     "begin a new one"};
    case ERR_BAD_EXTENT:
        return (struct advice){NULL, "Content-Range tells how long it is"};
    case ERR_BAD_MANIFEST:
        return (struct advice){NULL, "see the OCI image-spec, manifest.md and image-index.md, or "
                                     "docker's image manifest version 2, schema 2"};
    case ERR_BAD_IMAGE:
        return (struct advice){NULL, "see docker's image specification version 1"};
    case ERR_EXISTS:
        return (struct advice){NULL, "what is there is never changed: give yours another name"};
    case ERR_NO_IMAGE:
        return (struct advice){NULL, "check the id; push the image first"};
    case ERR_NOT_CONVERTED:
        return (struct advice){NULL, "it was pushed by the first API, and its manifest is being "
                                     "made: try again in a moment"};
    case ERR_UNCONVERTIBLE:
        return (struct advice){NULL, "it was pushed by the first API, and can be pulled by that "
                                     "alone: push it again by the second"};
    case ERR_TOO_LARGE:
        return (struct advice){NULL, "make it smaller, or have the limit raised"};
    case ERR_TOO_LONG:
        return (struct advice){NULL, "send several requests"};
    case ERR_IN_USE:
        return (struct advice){NULL, "delete the manifest of this digest first"};
    case ERR_TOO_MANY:
        return (struct advice){NULL, "finish or cancel some, and try again after the seconds of "
                                     "Retry-After"};
    case ERR_FULL:
        return (struct advice){NULL, "delete what isn't needed, or have the limit raised"};
    case ERR_NO_ROUTE:
        return (struct advice){NULL, "see the OCI distribution-spec, Endpoints"};
    case ERR_NO_METHOD:
        return (struct advice){NULL, "Allow has the methods of this path"};
    case ERR_NO_REPOSITORY:
        return (struct advice){NULL, "check the name; a repository comes with the first push to "
                                     "it, and /v2/_catalog lists those that there are"};
    case ERR_NO_MANIFEST:
        return (struct advice){NULL, "check the name; tags/list lists the repository's tags"};
    case ERR_NO_BLOB:
        return (struct advice){NULL, "upload it, or mount it from a repository that has it; a "
                                     "manifest is under manifests/"};
    case ERR_NO_UPLOAD:
        return (struct advice){NULL, "it is finished, was cancelled, has expired or is another "
                                     "user's: begin a new one by POST"};
    case ERR_MISSING_PARTS:
        return (struct advice){NULL, "push or mount it first, then the manifest"};
    case ERR_NO_FILE:
        return (struct advice){NULL, "list the directory above it"};
    case ERR_NOT_BROWSABLE:
        return (struct advice){NULL, "download the layer, and look into it there"};
    case ERR_UNAUTHORIZED:
        return (struct advice){NULL, "log in: WWW-Authenticate tells how"};
    case ERR_DENIED:
        return (struct advice){NULL, "these credentials are good, but not for this"};
    case ERR_UNSUPPORTED:
        return (struct advice){NULL, "use a client that writes OCI or docker schema 2 manifests"};
    case ERR_NONE:
    case ERR_SYSTEM:
    case ERR_CORRUPT:
        break;
    }
    return (struct advice){NULL, "the registry's log says more: tell its administrator"};
}

/* JSON is UTF-8, and this may be anything. */
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
    struct advice advice = advice_for(err->code);
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
    set_detail_text(detail, "expected", err->expected[0] != '\0' ? err->expected : advice.expected);
    set_detail_text(detail, err->code == ERR_UNCONVERTIBLE ? "reason" : "found", err->found);
    set_detail_text(detail, "hint", advice.hint);
    return detail;
}
