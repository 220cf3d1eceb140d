#pragma once

#include "protocol/http/call.h"

/* The requests of "docker login" to the first API. Only the administrator makes users. */

/* GET /v1/users: the caller's name; "anon" if there are no users. */
call_handler v1_users_get;

/* POST /v1/users: asks for an account. If there are users, docker expects 401 (the dispatcher's
 * answer), and then tries its password. A user with a valid password gets 400 with the only text
 * that has the same effect on docker. If there are no users: 201, and nothing is stored. */
call_handler v1_users_post;

/* PUT /v1/users/<name>: 204 if there are no users, and nothing is stored; otherwise 404. */
call_handler v1_users_put;
