#pragma once

#include "protocol/http/call.h"
#include "protocol/http/error_form.h"

/* Tokens of both APIs, and the headers that their clients need. nginx checks passwords (Basic) on
 * all requests.
 *
 * First API: over plain HTTP, docker sends its password with few requests, and the token that it
 * received with all others, so both are valid for every route.
 *
 * Second API (distribution's "Token Authentication Specification"): a 401 tells the client where to
 * get a token, and of which scope. It sends its password there, and the token with all other
 * requests. */

/* Makes the user of a valid token the call's actor, unless nginx has named one already. First API:
 * an invalid token counts as none. Second API, and the search of the first: the actor is bounded by
 * the token, and c->token_invalid says that it is invalid. Tokens that the registry doesn't need,
 * since it has no users, or they are the site's, count as none. */
int http_auth_enter(struct call *c, enum error_form form, struct err *err);

/* First API: adds X-Docker-Token, WWW-Authenticate with the same value, and X-Docker-Endpoints, for
 * an actor with the right to do the request, unless a token of the second API named the actor. A
 * client that sent a token gets the same token back, so its lifetime isn't extended. */
int http_auth_hand_out(struct call *c, struct err *err);

/* Adds the challenges of a 401. */
void http_auth_challenge(struct call *c, enum error_form form);

/* The actor of a request about all repositories that its user may pull: a token for lists shows all
 * of them. ERR_UNAUTHORIZED: a token or password has to be asked for. */
int http_auth_lister(const struct call *c, struct actor *user, struct err *err);
