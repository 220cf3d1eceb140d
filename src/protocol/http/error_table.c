#include "protocol/http/error_table.h"

#include "util/banned.h"

#define DIGEST_GRAMMAR "sha256: and 64, or sha512: and 128, small hexadecimal digits"
#define NAME_GRAMMAR                                                                               \
    "small letters and digits, in between . or _ or __ or dashes, parts joined by /; at most 255 " \
    "bytes"
#define TAG_GRAMMAR "a letter, digit or _, and then up to 127 of these, dots and dashes"

#define HINT_LOG "the registry's log says more: tell its administrator"

static const struct error_row rows[] = {
    [ERR_NONE] = {500, "UNKNOWN", NULL, NULL, HINT_LOG},
    [ERR_SYSTEM] = {500, "UNKNOWN", NULL, NULL, HINT_LOG},
    [ERR_NO_SPACE] = {503, "UNAVAILABLE", "30", NULL,
                      "the registry's disk is full: pulls go on, and pushes will when there is "
                      "room; tell its administrator"},
    [ERR_BUSY] = {503, "UNAVAILABLE", "1", NULL, "try again after the seconds of Retry-After"},
    [ERR_CORRUPT] = {500, "UNKNOWN", NULL, NULL, HINT_LOG},
    [ERR_BAD_REQUEST] = {400, "UNSUPPORTED", NULL, NULL,
                         "the request can't be read: see the OCI distribution-spec, and which "
                         "characters have to be escaped"},
    [ERR_BAD_NAME] = {400, "NAME_INVALID", NULL, NAME_GRAMMAR,
                      "choose another name for the repository"},
    [ERR_BAD_TAG] = {400, "TAG_INVALID", NULL, TAG_GRAMMAR, "choose another tag"},
    [ERR_BAD_DIGEST] = {400, "DIGEST_INVALID", NULL, DIGEST_GRAMMAR,
                        "give the whole digest, as docker prints it"},
    [ERR_DIGEST_MISMATCH] = {400, "DIGEST_INVALID", NULL, NULL,
                             "what came was changed on its way, or the digest is of something "
                             "else; it is dropped: send it again"},
    [ERR_BAD_SIZE] = {400, "SIZE_INVALID", NULL, NULL,
                      "the range has to be as long as the piece that comes"},
    [ERR_BAD_RANGE] = {416, "BLOB_UPLOAD_INVALID", NULL, NULL,
                       "Range tells how far the upload is: go on behind it, or begin a new one"},
    [ERR_BAD_EXTENT] = {416, "SIZE_INVALID", NULL, NULL, "Content-Range tells how long it is"},
    [ERR_BAD_MANIFEST] = {400, "MANIFEST_INVALID", NULL, NULL,
                          "see the OCI image-spec, manifest.md and image-index.md, or docker's "
                          "image manifest version 2, schema 2"},
    [ERR_BAD_IMAGE] = {400, "MANIFEST_INVALID", NULL, NULL,
                       "see docker's image specification version 1"},
    [ERR_TOO_LARGE] = {413, "SIZE_INVALID", NULL, NULL,
                       "make it smaller, or have the limit raised"},
    [ERR_TOO_LONG] = {414, "UNSUPPORTED", NULL, NULL, "send several requests"},
    [ERR_IN_USE] = {405, "UNSUPPORTED", NULL, NULL, "delete the manifest of this digest first"},
    [ERR_EXISTS] = {409, "DENIED", NULL, NULL,
                    "what is there is never changed: give yours another name"},
    [ERR_TOO_MANY] = {429, "TOOMANYREQUESTS", "5", NULL,
                      "finish or cancel some, and try again after the seconds of Retry-After"},
    [ERR_FULL] = {403, "DENIED", NULL, NULL, "delete what isn't needed, or have the limit raised"},
    [ERR_NO_ROUTE] = {404, "NAME_UNKNOWN", NULL, NULL, "see the OCI distribution-spec, Endpoints"},
    [ERR_NO_METHOD] = {405, "UNSUPPORTED", NULL, NULL, "Allow has the methods of this path"},
    [ERR_NO_REPOSITORY] = {404, "NAME_UNKNOWN", NULL, NULL,
                           "check the name; a repository comes with the first push to it, and "
                           "/v2/_catalog lists those that there are"},
    [ERR_NO_MANIFEST] = {404, "MANIFEST_UNKNOWN", NULL, NULL,
                         "check the name; tags/list lists the repository's tags"},
    [ERR_NO_BLOB] =
        {404, "BLOB_UNKNOWN", NULL, NULL,
         "upload it, or mount it from a repository that has it; a manifest is under manifests/"},
    [ERR_NO_UPLOAD] = {404, "BLOB_UPLOAD_UNKNOWN", NULL, NULL,
                       "it is finished, was cancelled, has expired or is another user's: begin a "
                       "new one by POST"},
    [ERR_NO_IMAGE] = {404, "MANIFEST_UNKNOWN", NULL, NULL, "check the id; push the image first"},
    [ERR_NOT_CONVERTED] =
        {404, "MANIFEST_UNKNOWN", NULL, NULL,
         "it was pushed by the first API, and its manifest is being made: try again in a moment"},
    [ERR_UNCONVERTIBLE] = {404, "MANIFEST_UNKNOWN", NULL, NULL,
                           "it was pushed by the first API, and can be pulled by that alone: push "
                           "it again by the second"},
    [ERR_MISSING_PARTS] = {404, "MANIFEST_BLOB_UNKNOWN", NULL, NULL,
                           "push or mount it first, then the manifest"},
    [ERR_NO_FILE] = {404, "NOT_FOUND", NULL, NULL, "list the directory above it"},
    [ERR_NOT_BROWSABLE] = {422, "UNSUPPORTED", NULL, NULL,
                           "download the layer, and look into it there"},
    [ERR_UNAUTHORIZED] = {401, "UNAUTHORIZED", NULL, NULL, "log in: WWW-Authenticate tells how"},
    [ERR_DENIED] = {403, "DENIED", NULL, NULL, "these credentials are good, but not for this"},
    [ERR_UNSUPPORTED] = {400, "UNSUPPORTED", NULL, NULL,
                         "use a client that writes OCI or docker schema 2 manifests"},
};

_Static_assert(sizeof rows / sizeof *rows == ERR_COUNT, "the last error has no row");

const struct error_row *
error_table_row(enum err_code code)
{
    return &rows[code];
}

const struct error_table_nginx error_table_nginx[] = {
    {"default", ERR_BAD_REQUEST, "bad request",
     "nginx couldn't read the request: a broken request line or header, or one that is there "
     "twice"},
    {"400plain", ERR_BAD_REQUEST, "this port speaks HTTPS: use https:// instead of http://",
     "use https:// in front of the registry's name"},
    {"404", ERR_NO_ROUTE, "not found", "check the path: see the OCI distribution-spec, Endpoints"},
    {"405", ERR_NO_METHOD, "method not allowed", "Allow has the methods that there are"},
    {"408", ERR_BAD_REQUEST, "request timed out",
     "the request came too slowly: check the connection, and try again"},
    {"411", ERR_BAD_SIZE, "length required", "send a Content-Length, or chunks"},
    {"412", ERR_BAD_REQUEST, "precondition failed", NULL},
    {"413", ERR_TOO_LARGE, "request body too large",
     "a manifest may have 4 MiB, a blob what --max-blob-size allows: make it smaller, or have the "
     "limit raised"},
    {"414", ERR_TOO_LONG, "request line too long",
     "a request line may have 8 KiB: make the path or the query shorter"},
    {"416", ERR_BAD_EXTENT, "range not satisfiable",
     "ask for bytes that there are: HEAD tells how many"},
    {"421", ERR_BAD_REQUEST, "misdirected request", NULL},
    {"429", ERR_TOO_MANY, "too many requests",
     "send fewer requests, and try again after the seconds of Retry-After"},
    {"431", ERR_BAD_REQUEST, "request header too large",
     "a header may have 8 KiB, and all of them 32: send fewer or shorter ones"},
    {"400encoding", ERR_BAD_REQUEST, "unknown transfer encoding",
     "of transfer encodings only chunked is known"},
    {"400version", ERR_BAD_REQUEST, "HTTP version not supported",
     "use HTTP/1.1, or HTTP/2 where HTTPS is spoken"},
};

const size_t error_table_nginx_n = sizeof error_table_nginx / sizeof *error_table_nginx;
