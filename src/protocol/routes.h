#pragma once

#include "protocol/http/route.h"

/* All that this server answers. */
extern const struct route_table routes;
