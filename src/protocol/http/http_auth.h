#pragma once

#include "protocol/http/call.h"

/* Tokens of the first API, and the headers that its clients need. nginx checks passwords (Basic),
 * as for all requests. Over plain HTTP, docker sends its password with few requests, and the token
 * that it received with all others, so both are valid for every route. */

/* Makes the user of a valid `Authorization: Token …` the call's actor, unless nginx has named one
 * already. An invalid token counts as none. */
int http_auth_enter(struct call *c, struct err *err);

/* Adds X-Docker-Token, WWW-Authenticate with the same value, and X-Docker-Endpoints, for an actor
 * with the right to do the request. A client that sent a token gets the same token back, so its
 * lifetime isn't extended. */
int http_auth_hand_out(struct call *c, struct err *err);

/* Adds the challenges of a 401. */
void http_auth_challenge(struct call *c);
