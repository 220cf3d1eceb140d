#include "protocol/http/http_auth.h"
#include <stdbool.h>
#include <strings.h>
#include "domain/access/bearer.h"
#include "domain/access/token.h"
#include "domain/core/upload_node.h"
#include "domain/name.h"
#include "protocol/http/scope.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/parse.h"

/* The original reads it like this: in this spelling, with one blank. */
#define SCHEME "Token "
/* RFC 9110 11.1: in any spelling, with any number of blanks. */
#define BEARER_SCHEME "Bearer "

/* Our name in challenges. docker and others keep credentials under it. */
#define SERVICE "docker-registry-server"
#define SCOPE_MAX 1024

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
/* A name (RFC 1035) and a port, with room to spare. */
#define HOST_MAX 300

/* ---- what the client shows ---- */

/* Reads seconds with three decimals, as nginx writes them. */
static bool
read_ms(const char *text, size_t n, uint64_t *ms)
{
    uint64_t seconds, rest;

    if (n < 5 || text[n - 4] != '.' || !parse_u64(text, n - 4, &seconds) ||
        !parse_u64(text + n - 3, 3, &rest) || seconds > UINT32_MAX)
        return false;
    *ms = seconds * 1000 + rest;
    return true;
}

/* When the request began. False: nginx told nothing that can be read. */
static bool
find_beginning(const struct call *c, uint64_t *began_ms)
{
    const char *times = c->req->header(c->req, "REQUEST_TIMES"); /* "1795468684.123 12.345" */
    const char *blank = times != NULL ? strchr(times, ' ') : NULL;
    uint64_t at_ms, took_ms;

    if (blank == NULL || !read_ms(times, (size_t)(blank - times), &at_ms) ||
        !read_ms(blank + 1, strlen(blank + 1), &took_ms) || took_ms > at_ms)
        return false;
    *began_ms = at_ms - took_ms;
    return true;
}

/* The second in which the request began. Since then its body may have come for hours, and a worker
 * was waited for, while its token was checked at the beginning. */
static uint64_t
request_began_s(const struct call *c)
{
    uint64_t now_ms = clock_wall_ms(), began_ms;

    return (find_beginning(c, &began_ms) && began_ms < now_ms ? began_ms : now_ms) / 1000;
}

/* Were users or rules replaced while the request was on its way? Then a password that nginx found
 * right may be the one before, and no token is made for it: it would be one of the new password. */
static bool
is_outdated(const struct call *c)
{
    uint64_t began_ms;

    return find_beginning(c, &began_ms) && access_changed_since(c->reg, began_ms);
}

static int
enter_with_token(struct call *c, const char *header, struct err *err)
{
    const size_t n = strlen(SCHEME);
    char user[RECORD_ACTOR_MAX + 1];

    if (strncmp(header, SCHEME, n) != 0 ||
        !token_check(c->reg, bytes_str(header + n), request_began_s(c), user))
        return 0;
    c->actor.user = arena_strdup(c->arena, user);
    c->token = header + n;
    if (c->actor.user != NULL)
        return 0;
    c->actor.user = "";
    return arena_full(err);
}

static int
enter_with_bearer(struct call *c, const char *header, struct err *err)
{
    struct bearer *b;

    if (strncasecmp(header, BEARER_SCHEME, strlen(BEARER_SCHEME)) != 0 || c->reg->users_trusted ||
        !access_users_exist(c->reg))
        return 0;
    header += strlen(BEARER_SCHEME);
    header += strspn(header, " ");
    b = arena_alloc(c->arena, sizeof *b);
    if (b == NULL)
        return arena_full(err);
    c->token_invalid =
        !bearer_check(c->reg, bytes_str(header), BEARER_ACCESS, request_began_s(c), b);
    if (!c->token_invalid) {
        c->actor.user = b->user;
        c->actor.grants = &b->grants;
    }
    return 0;
}

/* "docker login" keeps a refresh token instead of the password, and so does the web page. So
 * "docker search" and the page can show nothing but a token of the second API to these paths of the
 * first. */
static bool
takes_bearer(const struct http_request *req)
{
    static const char *const paths[] = {"/v1/search", "/v1/search/", "/v1/events", "/v1/events/"};

    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strcmp(req->path, paths[i]) == 0)
            return (req->method & (HTTP_GET | HTTP_HEAD)) != 0;
    return false;
}

/* The request comes from another node (upload_node.h), whose client has the address. */
static int
enter_from_node(struct call *c, const char *header, struct err *err)
{
    const struct http_request *req = c->req;
    const struct upload_node_request r = {
        .method = req->method_text, .path = req->raw_path, .query = req->query};
    char *user = arena_alloc(c->arena, RECORD_ACTOR_MAX + 1);
    char *address = arena_alloc(c->arena, UPLOAD_NODE_CLIENT_MAX);

    if (user == NULL || address == NULL)
        return arena_full(err);
    if (!upload_node_verify(c->reg, header, &r, request_began_s(c) * 1000, user, address))
        return err_set(err, ERR_DENIED, "X-Registry-Pass is for the servers of one database");
    c->actor.user = user;
    c->actor.address = address;
    c->is_passed_on = true;
    return 0;
}

int
http_auth_enter(struct call *c, enum error_form form, struct err *err)
{
    const char *header = c->req->header(c->req, "HTTP_AUTHORIZATION");
    const char *pass = c->reg->node != NULL ? c->req->header(c->req, "HTTP_X_REGISTRY_PASS") : NULL;

    if (pass != NULL)
        return enter_from_node(c, pass, err);

    if (c->actor.user[0] != '\0' || header == NULL)
        return 0;
    if (form == ERROR_FORM_OCI)
        return enter_with_bearer(c, header, err);
    if (takes_bearer(c->req) && enter_with_bearer(c, header, err) != 0)
        return -1;
    return enter_with_token(c, header, err);
}

/* ---- our own address ---- */

/* host[:port], with brackets round an IPv6 address. */
static bool
is_host_header(const char *text)
{
    size_t n;

    if (strlen(text) > HOST_MAX)
        return false;
    if (text[0] == '[') {
        n = 1 + strspn(text + 1, "abcdefABCDEF" DIGITS ":.");
        if (n == 1 || text[n++] != ']')
            return false;
    } else {
        n = strspn(text, LETTERS DIGITS ".-_");
    }
    if (n == 0 || text[n] == '\0')
        return n > 0;
    text += n + 1;
    return text[-1] == ':' && text[0] != '\0' && strlen(text) <= 5 &&
           strspn(text, DIGITS) == strlen(text);
}

/* host[:port] of --base-url; else the address that the client used; else (HTTP/1.0 has no Host) the
 * address that it reached. NULL: that is none of a network, or the arena is full. */
static const char *
own_address(const struct call *c)
{
    const char *base = strstr(call_base(c), "://");
    const char *address = c->req->header(c->req, "SERVER_ADDR");
    const char *port = c->req->header(c->req, "SERVER_PORT");

    if (base != NULL)
        return base + 3;
    if (is_host_header(c->req->host))
        return c->req->host;
    if (address == NULL || port == NULL || port[0] == '\0')
        return NULL;
    if (strchr(address, ':') != NULL)
        return arena_printf(c->arena, "[%s]:%s", address, port);
    return arena_printf(c->arena, "%s:%s", address, port);
}

/* Does the client use TLS? nginx also knows which proxy may say so. */
static bool
is_encrypted(const struct call *c)
{
    const char *scheme = c->req->header(c->req, "REQUEST_SCHEME");

    return scheme != NULL && strcmp(scheme, "https") == 0;
}

/* The URL in front of our paths, without a final slash; NULL as above. */
static const char *
own_url(const struct call *c)
{
    const char *address = own_address(c);

    if (call_base(c)[0] != '\0' || address == NULL)
        return address == NULL ? NULL : call_base(c);
    return arena_printf(c->arena, "%s://%s", is_encrypted(c) ? "https" : "http", address);
}

/* ---- headers for the client ---- */

int
http_auth_hand_out(struct call *c, struct err *err)
{
    const char *user = access_users_exist(c->reg) ? c->actor.user : TOKEN_ANYBODY;
    char made[TOKEN_TEXT_MAX];
    const char *token = c->token;

    http_reply_header(c->reply, "X-Docker-Endpoints", own_address(c));
    if (user[0] == '\0') /* an anonymous client, who may pull */
        return 0;
    if (c->actor.grants != NULL) /* a token of the first API would have a larger scope */
        return 0;
    /* The site around us asks for its own passwords on each request, and takes no token of ours.
     * But docker up to 1.6 doesn't begin a push without a token. */
    if (c->reg->users_trusted && c->req->method != HTTP_PUT)
        return 0;
    if (token == NULL && is_outdated(c))
        return 0;
    if (token == NULL) {
        if (token_make(c->reg, user, made, err) != 0)
            return -1;
        token = made;
    }
    return call_header(c, err, "X-Docker-Token", "%s", token) != 0 ||
                   call_header(c, err, "WWW-Authenticate", SCHEME "%s", token) != 0
               ? -1
               : 0;
}

/* ---- challenges ---- */

/* The source of a mount, which its client has to be able to pull from; NULL: there is none. */
static const char *
mount_source(const struct call *c)
{
    const char *from = query_get(&c->query, "from");

    return c->verb == VERB_PUSH && query_get(&c->query, "mount") != NULL && from != NULL &&
                   name_is_repository(from)
               ? from
               : NULL;
}

/* Appends the scope that the request needs, as docker asks for it; nothing if it needs none. */
static void
put_needed_scope(struct buf *out, const struct call *c)
{
    static const unsigned actions[] = {
        [VERB_PULL] = BEARER_PULL,
        [VERB_PUSH] = BEARER_PULL | BEARER_PUSH,
        [VERB_DELETE] = BEARER_DELETE,
        [VERB_ADMIN] = BEARER_ALL,
    };
    const char *from = mount_source(c);

    if (c->verb == VERB_LIST)
        scope_put_lists(out);
    if (c->name != NULL && actions[c->verb] != 0)
        scope_put(out, bytes_str(c->name), actions[c->verb]);
    if (from != NULL)
        scope_put(out, bytes_str(from), BEARER_PULL);
}

/* One challenge only: some clients take the first that they know, and others the last. */
static void
challenge_for_token(struct call *c, const char *url)
{
    const char *why = c->token_invalid          ? ",error=\"invalid_token\""
                      : c->actor.grants != NULL ? ",error=\"insufficient_scope\""
                                                : "";
    struct err ignored;
    struct buf scope;

    buf_init(&scope, SCOPE_MAX);
    put_needed_scope(&scope, c);
    call_header(c, &ignored, "WWW-Authenticate",
                BEARER_SCHEME "realm=\"%s/v2/_token\",service=\"" SERVICE "\"%s%s%s%s", url,
                scope.n > 0 ? ",scope=\"" : "", buf_text(&scope), scope.n > 0 ? "\"" : "", why);
    buf_free(&scope);
}

/* First API: Basic comes first, and each challenge has a line of its own: some clients read only
 * the first challenge, or only one of a line. */
void
http_auth_challenge(struct call *c, enum error_form form)
{
    const char *url = NULL;

    if (form == ERROR_FORM_OCI && c->reg != NULL && !c->reg->users_trusted && !c->needs_password)
        url = own_url(c);
    if (url != NULL) {
        challenge_for_token(c, url);
        return;
    }
    http_reply_header(c->reply, "WWW-Authenticate", "Basic realm=\"registry\"");
    if (form == ERROR_FORM_V1 && (c->reg == NULL || !c->reg->users_trusted))
        http_reply_header(c->reply, "WWW-Authenticate", "Token");
}

/* Some clients (oras, regctl) send their password, or a token, only after a 401: without it a user
 * would see only what strangers may pull. A stranger's client gets a token for that. */
static bool
must_show_token(const struct call *c)
{
    return c->actor.user[0] == '\0' && c->actor.grants == NULL && access_users_exist(c->reg) &&
           !c->reg->users_trusted;
}

int
http_auth_lister(const struct call *c, struct actor *user, struct err *err)
{
    if (must_show_token(c))
        return err_set(err, ERR_UNAUTHORIZED, "a token, or user name and password needed");
    *user = c->actor;
    user->grants = NULL;
    return 0;
}
