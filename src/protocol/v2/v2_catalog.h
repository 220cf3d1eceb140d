#pragma once

#include "protocol/http/call.h"

/* GET /v2/_catalog?n=&last= (docker's registry API v2, "Listing Repositories") */
call_handler v2_catalog_list;
/* GET /v2/_repositories?n=&last=&name=&prefix= */
call_handler v2_catalog_repositories;

/* The actor of a request about all repositories that its user may pull: a token for lists shows all
 * of them. ERR_UNAUTHORIZED: a token or password has to be asked for. */
int v2_catalog_actor(const struct call *c, struct actor *user, struct err *err);
