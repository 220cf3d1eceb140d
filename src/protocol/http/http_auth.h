#pragma once

#include "protocol/http/call.h"

/* Tokens of the first API, and the headers that its clients need to go on. nginx checks Basic, here
 * as everywhere. Over plain HTTP, docker sends its password with few requests, and with all others
 * the token that it received, so both are valid for every route. */

/* Makes the user of a valid `Authorization: Token …` the call's actor, unless nginx has named one
 * already. An invalid token counts as none. */
int http_auth_enter(struct call *c, struct err *err);

/* Adds X-Docker-Token, WWW-Authenticate with the same value, and X-Docker-Endpoints, for an actor
 * who may do the request. A client that came with a token gets the same token back, so that a token
 * ends when it ends. */
int http_auth_hand_out(struct call *c, struct err *err);

/* Adds the challenges of a 401. */
void http_auth_challenge(struct call *c);
