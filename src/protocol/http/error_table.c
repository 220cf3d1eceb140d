#include "protocol/http/error_table.h"

#define DIGEST_GRAMMAR "sha256: and 64 lowercase hexadecimal digits, or sha512: and 128 of them"
#define NAME_GRAMMAR                                                                              \
    "lowercase letters and digits, with ., _, __ or dashes between them; parts are joined by /; " \
    "at most 255 bytes"
#define TAG_GRAMMAR "a letter, digit or _, followed by up to 127 of these, dots and dashes"

#define HINT_LOG "the registry's log says more: tell its administrator"
#define HINT_RETRY "try again after the seconds of Retry-After"

/* A new code gets its row here; tests/lint/manuals.t finds one without. */
static const struct error_row error_rows[] = {
    [ERR_NONE] = {500, "UNKNOWN", HINT_LOG},
    [ERR_SYSTEM] = {500, "UNKNOWN", HINT_LOG},
    [ERR_NO_SPACE] = {503, "UNAVAILABLE",
                      "the registry's disk is full: pulls still work, and pushes work again when "
                      "there is room; tell its administrator",
                      .retry_after = "30"},
    [ERR_BUSY] = {503, "UNAVAILABLE", HINT_RETRY, .retry_after = "1"},
    [ERR_FAULT] = {503, "UNAVAILABLE",
                   "the registry's machine has a fault that may pass (its disk, its memory, its "
                   "open files): try again later, and tell its administrator; the log says more",
                   .retry_after = "10"},
    [ERR_UNSYNCED] = {503, "UNAVAILABLE",
                      "the registry's disk failed, and the bytes are dropped: begin the upload "
                      "again, and tell the registry's administrator",
                      .retry_after = "10"},
    [ERR_CORRUPT] = {500, "UNKNOWN", HINT_LOG},
    [ERR_LONG] = {500, "UNKNOWN", HINT_LOG},
    [ERR_BAD_REQUEST] = {400, "UNSUPPORTED",
                         "the request can't be read: see the OCI distribution-spec, and check "
                         "which characters have to be escaped"},
    [ERR_BAD_NAME] = {400, "NAME_INVALID", "choose another name for the repository",
                      .expected = NAME_GRAMMAR},
    [ERR_BAD_TAG] = {400, "TAG_INVALID", "choose another tag", .expected = TAG_GRAMMAR},
    [ERR_BAD_DIGEST] = {400, "DIGEST_INVALID", "give the whole digest, as docker prints it",
                        .expected = DIGEST_GRAMMAR},
    [ERR_DIGEST_MISMATCH] = {400, "DIGEST_INVALID",
                             "the bytes were changed on their way, or the digest is that of other "
                             "bytes; they are dropped: send them again"},
    [ERR_BAD_SIZE] = {400, "SIZE_INVALID", "give the range the length of the piece that is sent"},
    [ERR_BAD_RANGE] = {416, "BLOB_UPLOAD_INVALID",
                       "continue after the byte that Range names, or begin a new upload"},
    [ERR_BAD_EXTENT] = {416, "SIZE_INVALID", "the header Content-Range has the length"},
    [ERR_BAD_MANIFEST] = {400, "MANIFEST_INVALID",
                          "see the OCI image-spec, manifest.md and image-index.md, or docker's "
                          "image manifest version 2, schema 2"},
    [ERR_BAD_IMAGE] = {400, "MANIFEST_INVALID", "see docker's image specification version 1"},
    [ERR_TOO_LARGE] = {413, "SIZE_INVALID", "make it smaller, or have the limit raised"},
    [ERR_TOO_LONG] = {414, "UNSUPPORTED", "send several requests"},
    [ERR_IN_USE] = {405, "UNSUPPORTED", "delete the manifest of this digest first"},
    [ERR_EXISTS] = {409, "DENIED", "existing images don't change: choose another id"},
    [ERR_CONDITION] = {412, "PRECONDITION_FAILED",
                       "it was changed meanwhile: fetch it again before you change it"},
    [ERR_TOO_MANY] = {429, "TOOMANYREQUESTS", "finish or cancel some, and " HINT_RETRY,
                      .retry_after = "5"},
    [ERR_FULL] = {403, "DENIED", "delete what isn't needed, or have the limit raised"},
    [ERR_NO_ROUTE] = {404, "NAME_UNKNOWN", "see the OCI distribution-spec, Endpoints"},
    [ERR_NO_METHOD] = {405, "UNSUPPORTED", "the header Allow lists the methods of this path"},
    [ERR_NO_REPOSITORY] =
        {404, "NAME_UNKNOWN",
         "check the name: /v2/_catalog lists the repositories; the first push makes a new one"},
    [ERR_NO_MANIFEST] = {404, "MANIFEST_UNKNOWN",
                         "check the name; tags/list lists the repository's tags"},
    [ERR_DAMAGED_MANIFEST] = {404, "MANIFEST_UNKNOWN",
                              "push it again, from any machine that has it; the administrator "
                              "finds more by docker-registry-server fsck"},
    [ERR_NO_BLOB] =
        {404, "BLOB_UNKNOWN",
         "upload it, or mount it from a repository that has it; a manifest is under manifests/"},
    [ERR_NO_UPLOAD] = {404, "BLOB_UPLOAD_UNKNOWN",
                       "it is finished, was cancelled, has expired or is another user's: start "
                       "another by POST .../blobs/uploads/"},
    [ERR_NO_IMAGE] = {404, "MANIFEST_UNKNOWN", "check the id; push the image first"},
    [ERR_NOT_CONVERTED] =
        {404, "MANIFEST_UNKNOWN",
         "it was pushed by the first API, and its manifest is being made: try again in a moment"},
    [ERR_UNCONVERTIBLE] = {404, "MANIFEST_UNKNOWN",
                           "it was pushed by the first API, and only that can pull it: push it "
                           "again by the second API"},
    [ERR_MISSING_PARTS] = {404, "MANIFEST_BLOB_UNKNOWN",
                           "push or mount it first, then the manifest"},
    [ERR_NO_FILE] = {404, "NOT_FOUND", "tree/ lists the image's files, and history its layers"},
    [ERR_NOT_BROWSABLE] = {422, "UNSUPPORTED", "download the layer, and look into it there"},
    [ERR_UNAUTHORIZED] = {401, "UNAUTHORIZED", "log in: WWW-Authenticate tells how"},
    [ERR_DENIED] = {403, "DENIED",
                    "another password doesn't help: the message says what forbids it, which the "
                    "registry's administrator can change"},
    [ERR_FOREIGN_PAGE] =
        {403, "DENIED",
         "start the registry with --cors and this origin, if its pages may change things"},
    [ERR_UNSUPPORTED] = {400, "UNSUPPORTED",
                         "use a client that writes OCI or docker schema 2 manifests"},
    [ERR_READ_ONLY] = {405, "UNSUPPORTED",
                       "pulls work; ask the registry's administrator when pushes will"},
};

_Static_assert(sizeof error_rows / sizeof *error_rows == ERR_COUNT,
               "each code of util/err.h has a row");

const struct error_row *
error_table_row(enum err_code code)
{
    return &error_rows[code];
}

/* No text may be exactly "authentication required": docker would retry the push for 40 s. */
const struct error_table_nginx error_table_nginx[] = {
    {"default", ERR_BAD_REQUEST, "bad request",
     .hint = "nginx couldn't read the request: a broken request line or header, or one that is "
             "there twice"},
    {"400plain", ERR_BAD_REQUEST, "this port speaks HTTPS: use https:// instead of http://",
     .hint = "use https:// in front of the registry's name"},
    {"400encoding", ERR_BAD_REQUEST, "unknown transfer encoding",
     .hint = "use chunked, the only supported transfer encoding"},
    {"400version", ERR_BAD_REQUEST, "HTTP version not supported",
     .hint = "use HTTP/1.1, or HTTP/2 where HTTPS is spoken"},
    {"401", ERR_UNAUTHORIZED, "user name and password needed",
     .hint = "log in: WWW-Authenticate tells how"},
    {"401wrong", ERR_UNAUTHORIZED, "wrong user name or password",
     .hint = "log in again: docker login, podman login"},
    {"403denied", ERR_DENIED, "access denied",
     .hint = "the web server in front refuses this address or these credentials"},
    {"404", ERR_NO_ROUTE, "not found",
     .hint = "check the path: see the OCI distribution-spec, Endpoints"},
    {"405", ERR_NO_METHOD, "method not allowed", .hint = "the header Allow lists the methods"},
    {"408", ERR_BAD_REQUEST, "request timed out",
     .hint = "the request came too slowly: check the connection, and try again"},
    {"411", ERR_BAD_SIZE, "length required", .hint = "send a Content-Length, or chunks"},
    {"412", ERR_BAD_REQUEST, "precondition failed", .hint = NULL},
    {"413", ERR_TOO_LARGE,
     "request body too large: a manifest may have 4 MiB, a blob @MAX_BLOB@ bytes (--max-blob-size, "
     "where 0 is no limit)",
     .hint = "make it smaller, or have the limit raised"},
    {"414", ERR_TOO_LONG, "request line too long",
     .hint = "make the path or the query shorter: a request line may have 24 KiB, or what an "
             "nginx in front allows"},
    {"416", ERR_BAD_EXTENT, "range not satisfiable",
     .hint = "ask for existing bytes: HEAD tells how many there are"},
    {"421", ERR_BAD_REQUEST, "misdirected request", .hint = NULL},
    {"429", ERR_TOO_MANY, "too many requests from this address",
     .hint = "one address may have @MAX_CONNECTIONS@ requests at the same time "
             "(--max-connections-per-address, where 0 is no limit), and 650 a second with a "
             "password, 20 of them for tokens, 80 with a very long one; many wrong passwords bar "
             "it for a minute (--max-wrong-passwords): " HINT_RETRY,
     .retry_after = "1"},
    {"431", ERR_BAD_REQUEST, "request header too large",
     .hint = "send fewer or shorter headers: one may have 24 KiB and all 48, or what an "
             "nginx in front allows"},
    {"503", ERR_BUSY, "the registry is busy, restarting, or out of reach for the web server",
     .hint = HINT_RETRY "; if it stays, the logs of the registry and of nginx say why",
     .retry_after = "2"},
};

const size_t error_table_nginx_n = sizeof error_table_nginx / sizeof *error_table_nginx;
