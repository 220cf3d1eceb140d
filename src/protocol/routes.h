#ifndef PROTOCOL_ROUTES_H
#define PROTOCOL_ROUTES_H

#include "protocol/http/route.h"

/* All that this server answers. */
extern const struct route_table routes;

#endif
