#pragma once

#include "protocol/http/call.h"

/* GET /v1/search?q=&n=&page=: "docker search" and "podman search" use it, also with a registry that
 * has nothing else of the first API. So it covers images of both APIs. n is 25, at most 100; pages
 * count from 1. A parameter that isn't a number counts as missing. */
call_handler v1_search;
