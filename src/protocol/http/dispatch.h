#pragma once

#include "domain/registry.h"
#include "protocol/http/http.h"

struct route_table;

/* Answers one request: path rule, route, rights, handler, in this order, for every role. It never
 * fails: an error becomes a reply in the form of the API that was asked. The texts of the reply
 * live in `arena`, which belongs to the request. */
void dispatch(const struct route_table *routes, const struct registry *reg,
              const struct http_request *req, struct arena *arena, struct http_reply *reply);
