#pragma once

#include "protocol/http/call.h"

/* OPTIONS, also as a browser sends it before a request of a page (Fetch standard, "CORS-preflight
 * request"). conf/blocks.conf decides which pages may, and adds the headers that every answer
 * needs. */

/* The answer for a path with these methods (of enum http_method): 204, with Allow. If the page may
 * read it, the answer also has the methods, the headers that it asked for, and how long the browser
 * may keep it. */
int cors_options(struct call *c, unsigned methods, struct err *err);

/* The first API answers each OPTIONS like this, whatever the path. Only a page that may read the
 * answer is told methods: GET and HEAD if it asks for one of them, and else all. */
int cors_options_v1(struct call *c, struct err *err);

/* Refuses with ERR_FOREIGN_PAGE what a web page of a foreign origin wants to change. Browsers send
 * some requests (POST) without a preflight. Pages from the host of the request aren't foreign, nor
 * are those of an origin that --cors names. Without users, a host that a stranger can have named
 * counts as foreign. */
int cors_check(struct call *c, struct err *err);

/* Adds Allow. */
int cors_add_allow(struct call *c, unsigned methods, struct err *err);
