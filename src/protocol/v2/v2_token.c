#include "protocol/v2/v2_token.h"
#include <stdbool.h>
#include "domain/access/bearer.h"
#include "domain/access/login_cache.h"
#include "domain/metrics/metrics.h"
#include "protocol/http/http_auth.h"
#include "protocol/http/scope.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/clock.h"

/* Bytes of the scopes in an answer: 100 of them with the longest names. */
#define GRANTED_MAX (64u << 10)

/* The parts of an answer. */
struct token_answer {
    struct bearer access;
    bool wants_refresh;
    char text[BEARER_TEXT_MAX];
};

/* ---- which access ---- */

static const struct {
    unsigned action;
    enum verb verb;
} action_verbs[] = {
    {BEARER_PULL, VERB_PULL},
    {BEARER_PUSH, VERB_PUSH},
    {BEARER_DELETE, VERB_DELETE},
    {BEARER_ALL, VERB_ADMIN},
};

/* The part of the actions that the user has a right to. */
static unsigned
allowed_actions(const struct call *c, const struct actor *actor, const char *repository,
                unsigned actions)
{
    unsigned allowed = 0;
    struct err refused;

    for (size_t i = 0; i < sizeof action_verbs / sizeof *action_verbs; i++)
        if ((actions & (action_verbs[i].action | BEARER_ALL)) != 0 &&
            access_check(c->reg, actor, repository, action_verbs[i].verb, &refused) == 0)
            allowed |= action_verbs[i].action;
    return allowed;
}

/* Grants what is allowed of one scope. Scopes of other kinds are ignored, as distribution does. */
static int
grant_scope(struct call *c, struct bearer *b, struct bytes text, struct err *err)
{
    const struct actor actor = {.user = b->user, .address = c->actor.address};
    const char *repository;
    struct err refused;
    struct scope s;
    unsigned actions;

    if (!scope_parse(&s, text))
        return 0;
    if (s.lists) {
        b->grants.lists =
            b->grants.lists || access_check(c->reg, &actor, NULL, VERB_LIST, &refused) == 0;
        return 0;
    }
    repository = arena_copy(c->arena, s.repository.p, s.repository.n);
    if (repository == NULL)
        return arena_full(err);
    actions = allowed_actions(c, &actor, repository, s.actions);
    /* A token has a longest length. Scopes that don't fit are not granted, like those that aren't
     * allowed. */
    if (actions != 0)
        bearer_grants_add(&b->grants, bytes_str(repository), actions);
    return 0;
}

/* Each parameter "scope" has one scope or several, with blanks between them. */
static int
grant_all(struct call *c, struct bearer *b, const struct query *asked, struct err *err)
{
    for (size_t i = 0; i < asked->n; i++) {
        const char *p = asked->parameters[i].value;

        if (strcmp(asked->parameters[i].name, "scope") != 0)
            continue;
        while (*(p += strspn(p, " ")) != '\0') {
            size_t n = strcspn(p, " ");

            if (grant_scope(c, b, bytes_of(p, n), err) != 0)
                return -1;
            p += n;
        }
    }
    return 0;
}

/* ---- the answer ---- */

static int
add_refresh_token(struct call *c, struct token_answer *a, struct json *body, struct err *err)
{
    struct bearer *b = arena_alloc(c->arena, sizeof *b);

    if (b == NULL)
        return arena_full(err);
    b->kind = BEARER_REFRESH;
    memcpy(b->user, a->access.user, sizeof b->user);
    b->issued_s = a->access.issued_s;
    b->expiry_s = b->issued_s + BEARER_REFRESH_LIFETIME_S;
    if (bearer_make(c->reg, b, a->text, err) != 0)
        return -1;
    json_set_string(body, "refresh_token", a->text);
    return 0;
}

static void
set_granted(struct json *body, const struct bearer_grants *g)
{
    struct buf text;

    buf_init(&text, GRANTED_MAX);
    for (size_t i = 0; i < g->n; i++)
        scope_put(&text, g->v[i].repository, g->v[i].actions);
    if (g->lists)
        scope_put_lists(&text);
    json_set_string(body, "scope", text.n > 0 && buf_ok(&text) ? buf_text(&text) : "");
    buf_free(&text);
}

static int
answer_token(struct call *c, struct token_answer *a, struct err *err)
{
    struct bearer *b = &a->access;
    char issued[CLOCK_RFC3339_MAX];
    struct json *body;

    b->kind = BEARER_ACCESS;
    b->issued_s = clock_wall_ms() / 1000;
    b->expiry_s = b->issued_s + c->reg->token_lifetime_ms / 1000;
    if (bearer_make(c->reg, b, a->text, err) != 0)
        return -1;
    metrics_count(c->reg->counts, METRIC_TOKENS, 0, 1);
    body = json_new_object();
    json_set_string(body, "token", a->text);
    json_set_string(body, "access_token", a->text);
    json_set_string(body, "token_type", "Bearer");
    json_set_u64(body, "expires_in", b->expiry_s - b->issued_s);
    clock_rfc3339(issued, b->issued_s * 1000);
    json_set_string(body, "issued_at", issued);
    set_granted(body, &b->grants);
    if (a->wants_refresh && b->user[0] != '\0' && add_refresh_token(c, a, body, err) != 0) {
        json_free(body);
        return -1;
    }
    http_reply_header(c->reply, "Cache-Control", "no-store");
    return call_json(c, 200, body, err);
}

/* Grants what the request asks for. An anonymous client that may do nothing of it is asked for a
 * password instead. */
static int
answer_asked(struct call *c, struct token_answer *a, const struct query *asked, struct err *err)
{
    const struct bearer_grants *g = &a->access.grants;

    if (grant_all(c, &a->access, asked, err) != 0)
        return -1;
    if (a->access.user[0] == '\0' && g->n == 0 && !g->lists &&
        (query_get(asked, "scope") != NULL || !access_anonymous_may(c->reg))) {
        c->needs_password = true;
        return err_set(err, ERR_UNAUTHORIZED, "user name and password needed");
    }
    return answer_token(c, a, err);
}

/* ---- POST ---- */

/* An error by RFC 6749 5.2, and in the form of this API, which docker shows. A client whose refresh
 * token, or password in a form, isn't taken gets 401, because all clients then go on to GET: some
 * don't after 400. */
static int
refuse_form(struct call *c, int status, const char *code, const char *message, struct err *err)
{
    struct json *body = json_new_object(), *errors = json_new_array(), *one = json_new_object();

    json_set_string(body, "error", code);
    json_set_string(body, "error_description", message);
    json_set_string(one, "code", status == 401 ? "UNAUTHORIZED" : "UNSUPPORTED");
    json_set_string(one, "message", message);
    json_add(errors, one);
    json_set(body, "errors", errors);
    http_reply_header(c->reply, "Cache-Control", "no-store");
    if (status == 401) {
        c->needs_password = true;
        http_auth_challenge(c, ERROR_FORM_OCI);
    }
    return call_json(c, status, body, err);
}

static int
answer_refresh(struct call *c, struct token_answer *a, const struct query *form, struct err *err)
{
    const char *text = query_get(form, "refresh_token");
    struct bearer *b = arena_alloc(c->arena, sizeof *b);

    if (b == NULL)
        return arena_full(err);
    if (text == NULL)
        return refuse_form(c, 400, "invalid_request", "the parameter refresh_token is missing",
                           err);
    if (!bearer_check(c->reg, bytes_str(text), BEARER_REFRESH, clock_wall_ms() / 1000, b))
        return refuse_form(c, 401, "invalid_grant",
                           "the refresh token is invalid or has expired, or its user's password "
                           "was changed: log in again",
                           err);
    memcpy(a->access.user, b->user, sizeof a->access.user);
    return answer_asked(c, a, form, err);
}

static int
answer_form(struct call *c, struct token_answer *a, struct err *err)
{
    const struct bytes b = c->req->body;
    const char *text = arena_copy(c->arena, b.p, b.n), *type;
    struct query *form = arena_alloc(c->arena, sizeof *form);
    struct err wrong;

    if (text == NULL || form == NULL)
        return arena_full(err);
    if (memchr(text, '\0', b.n) != NULL || query_parse(form, text, c->arena, &wrong) != 0)
        return refuse_form(c, 400, "invalid_request", "the form can't be read", err);
    type = query_get(form, "grant_type");
    if (type != NULL && strcmp(type, "refresh_token") == 0)
        return answer_refresh(c, a, form, err);
    /* nginx checks passwords, and finds them in the header Authorization. */
    if (type != NULL && strcmp(type, "password") == 0)
        return refuse_form(c, 401, "unsupported_grant_type",
                           "send the password in the header Authorization (Basic), by GET", err);
    return refuse_form(c, 400, "unsupported_grant_type", "grant_type must be refresh_token", err);
}

/* ---- GET ---- */

/* nginx gives the version back. */
static int
send_to_login(struct call *c, const char *version, struct err *err)
{
    const char *internal = c->req->header(c->req, "REGISTRY_INTERNAL");

    if (internal == NULL)
        return err_set(err, ERR_SYSTEM, "the web server in front has no REGISTRY_INTERNAL");
    c->reply->status = 200;
    c->reply->goes_on = true;
    return call_header(c, err, "X-Accel-Redirect", "%s/login?%s", internal, version);
}

/* nginx checks passwords, in a location of its own to which the request is sent, and comes back
 * with the user. Passwords that it has found right are remembered. The user is never that of a
 * token, which would then last forever. If users were replaced in the meantime, nginx may have
 * found the password before right, and is asked again. 1: the answer can be made; 0: the request
 * was sent to nginx; -1. */
static int
find_password(struct call *c, struct token_answer *a, struct err *err)
{
    const char *header = c->req->header(c->req, "HTTP_AUTHORIZATION");
    const char *asked = c->req->header(c->req, "REGISTRY_LOGIN");
    bool checked = c->req->user[0] != '\0';
    char version[ACCESS_VERSION_TEXT];
    struct login login;
    bool parsed, remembered, empty;

    if (header == NULL || strncasecmp(header, "basic", 5) != 0 || !access_users_exist(c->reg))
        return 1;
    access_version(c->reg, version);
    if (checked && asked != NULL && strcmp(asked, version) != 0)
        return send_to_login(c, version, err);
    parsed = login_cache_parse(&login, header);
    if (parsed && checked)
        login_cache_put(c->reg, &login);
    remembered = parsed && !checked && login_cache_has(c->reg, &login);
    empty = parsed && login.user[0] == '\0' && login.password[0] == '\0';
    if (checked || remembered)
        snprintf(a->access.user, sizeof a->access.user, "%s", checked ? c->req->user : login.user);
    explicit_bzero(&login, sizeof login);
    if (checked || remembered || empty || asked != NULL)
        return 1;
    return send_to_login(c, version, err);
}

/* ---- both ---- */

int
v2_token(struct call *c, struct err *err)
{
    struct token_answer *a = arena_alloc(c->arena, sizeof *a);
    const char *offline = query_get(&c->query, "offline_token");
    int rc;

    if (a == NULL)
        return arena_full(err);
    if (c->reg->users_trusted)
        return err_set(err, ERR_NO_ROUTE, "nothing is served at %s", c->req->raw_path);
    if (c->req->method == HTTP_POST)
        return answer_form(c, a, err);
    rc = find_password(c, a, err);
    if (rc != 1)
        return rc;
    a->wants_refresh = offline != NULL && strcmp(offline, "true") == 0;
    return answer_asked(c, a, &c->query, err);
}
