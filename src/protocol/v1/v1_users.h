#ifndef PROTOCOL_V1_V1_USERS_H
#define PROTOCOL_V1_V1_USERS_H

#include "protocol/http/call.h"

/* What "docker login" asks of the first API. Users are made by the administrator alone. */

/* GET /v1/users: the caller's name, "anon" where there are no users. */
call_handler v1_users_get;

/* POST /v1/users: an account, please. 401 is what docker wants to see where there are users (the
 * dispatcher's answer): it then tries its password. To somebody who is let in: 400 with the one
 * text that has the same effect. Where there are no users: 201, and nothing is kept. */
call_handler v1_users_post;

/* PUT /v1/users/<name>: 204 where there are no users, and nothing is kept; else 404. */
call_handler v1_users_put;

#endif
