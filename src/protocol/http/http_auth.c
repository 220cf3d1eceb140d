#include "protocol/http/http_auth.h"
#include <stdbool.h>
#include "domain/access/token.h"
#include "util/arena.h"

/* The original reads it like this: in this spelling, with one blank. */
#define SCHEME "Token "

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
/* A name (RFC 1035) and a port, with room to spare. */
#define HOST_MAX 300

int
http_auth_enter(struct call *c, struct err *err)
{
    const char *header = c->req->header(c->req, "HTTP_AUTHORIZATION");
    const size_t n = strlen(SCHEME);
    char user[RECORD_ACTOR_MAX + 1];
    int r;

    if (c->actor.user[0] != '\0' || header == NULL || strncmp(header, SCHEME, n) != 0)
        return 0;
    r = token_check(c->reg, bytes_str(header + n), user, err);
    if (r != 1)
        return r;
    c->actor.user = arena_strdup(c->arena, user);
    c->token = header + n;
    if (c->actor.user != NULL)
        return 0;
    c->actor.user = "";
    return arena_full(err);
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

/* --base-url; else the address that the client used; else (HTTP/1.0 has no Host) the address that
 * it reached. */
static int
add_endpoints(struct call *c, struct err *err)
{
    const char *base = strstr(call_base(c), "://");
    const char *address = c->req->header(c->req, "SERVER_ADDR");
    const char *port = c->req->header(c->req, "SERVER_PORT");

    if (base != NULL)
        return call_header(c, err, "X-Docker-Endpoints", "%s", base + 3);
    if (is_host_header(c->req->host))
        return call_header(c, err, "X-Docker-Endpoints", "%s", c->req->host);
    if (address == NULL || port == NULL)
        return 0;
    if (strchr(address, ':') != NULL)
        return call_header(c, err, "X-Docker-Endpoints", "[%s]:%s", address, port);
    return call_header(c, err, "X-Docker-Endpoints", "%s:%s", address, port);
}

/* ---- headers for the client ---- */

int
http_auth_hand_out(struct call *c, struct err *err)
{
    const char *user = access_users_exist(c->reg) ? c->actor.user : TOKEN_ANYBODY;
    char made[TOKEN_TEXT_MAX];
    const char *token = c->token;

    if (add_endpoints(c, err) != 0)
        return -1;
    /* The site around us asks for its own passwords on each request, and takes no token of ours.
     * But docker up to 1.6 doesn't begin a push without a token. */
    if (c->reg->users_trusted && c->req->method != HTTP_PUT)
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

/* Basic comes first, and each challenge has a line of its own: some clients read only the first
 * challenge, or only one of a line. */
void
http_auth_challenge(struct call *c)
{
    http_reply_header(c->reply, "WWW-Authenticate", "Basic realm=\"registry\"");
    if (c->reg == NULL || !c->reg->users_trusted)
        http_reply_header(c->reply, "WWW-Authenticate", "Token");
}
