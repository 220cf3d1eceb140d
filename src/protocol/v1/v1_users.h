#pragma once

#include "protocol/http/call.h"

/* The requests of "docker login" to the first API. Only the administrator makes users. */

/* GET /v1/users: the caller's name, "anon" where there are no users. */
call_handler v1_users_get;

/* POST /v1/users: asks for an account. docker expects 401 where there are users (the dispatcher
 * answers that), and then tries its password. A user who is let in gets 400 with the one text that
 * has the same effect. Where there are no users: 201, and nothing is stored. */
call_handler v1_users_post;

/* PUT /v1/users/<name>: 204 where there are no users, and nothing is stored; else 404. */
call_handler v1_users_put;
