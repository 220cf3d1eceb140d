#pragma once

#include "protocol/http/call.h"

/* /v2/_token: gives tokens. GET as in distribution's "Token Authentication Specification", POST as
 * in its "Docker Registry v2 authentication using OAuth2". nginx has checked the password of a
 * request that has one. */
call_handler v2_token;
