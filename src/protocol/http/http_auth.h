#ifndef PROTOCOL_HTTP_HTTP_AUTH_H
#define PROTOCOL_HTTP_HTTP_AUTH_H

#include "protocol/http/call.h"

/* Who asks the first API, and what a client gets so that it can go on. Basic is nginx's business,
 * here as everywhere. Over plain HTTP docker sends its password with few requests, and the token
 * that it got for it with all others, so both are good for every route. */

/* Makes the user of a valid `Authorization: Token …` the call's actor, unless nginx has named one
 * already. Any other token counts as none. */
int http_auth_enter(struct call *c, struct err *err);

/* Adds X-Docker-Token, WWW-Authenticate with the same, and X-Docker-Endpoints, for an actor who may
 * do what he asks for. Who came with a token gets that one again: a token ends when it ends. */
int http_auth_hand_out(struct call *c, struct err *err);

/* Adds the challenges of a 401. */
void http_auth_challenge(struct call *c);

#endif
