#ifndef PROTOCOL_V1_V1_SEARCH_H
#define PROTOCOL_V1_V1_SEARCH_H

#include "protocol/http/call.h"

/* GET /v1/search?q=&n=&page=: what "docker search" and "podman search" ask, also of a registry that
 * has nothing else of the first API. So it covers what was pushed by either API. n is 25, at most
 * 100; pages count from 1. Numbers that are none are as if they weren't given. */
call_handler v1_search;

#endif
