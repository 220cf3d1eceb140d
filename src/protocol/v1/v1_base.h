#pragma once

#include "domain/core/platform.h"
#include "protocol/http/call.h"

/* GET /v1/_ping and /_ping: is this a registry? (docker registry API v1, "Status") */
call_handler v1_base_ping;

/* 200 and the empty JSON string, which in this API means that something is done. */
int v1_base_done(struct call *c);

/* The request's body as JSON; the caller frees it. 0, or -1 and ERR_BAD_REQUEST. */
int v1_base_body(struct call *c, int max_depth, struct json **body, struct err *err);

/* Parses ?platform=os/architecture[/variant] into the arena; NULL if the query has none. 0, or -1
 * and ERR_BAD_REQUEST. */
int v1_base_platform(struct call *c, const struct platform **platform, struct err *err);
