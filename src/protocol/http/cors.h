#pragma once

#include "protocol/http/call.h"

/* OPTIONS, also as a browser sends it before a request of a page (Fetch standard, "CORS-preflight
 * request"). conf/blocks.conf decides which pages may, and adds the headers that every answer
 * needs. */

/* The answer for a path with these methods (of enum http_method): 204, with Allow. If the page may
 * read it, the answer also has the methods, the headers that it asked for, and how long the browser
 * may keep it. */
int cors_options(struct call *c, unsigned methods, struct err *err);

/* The first API answers each OPTIONS like this, whatever the path. */
int cors_options_v1(struct call *c, struct err *err);

/* Adds Allow. */
int cors_add_allow(struct call *c, unsigned methods, struct err *err);
