#ifndef PROTOCOL_HTTP_CORS_H
#define PROTOCOL_HTTP_CORS_H

#include "protocol/http/call.h"

/* OPTIONS, and what a browser asks by it before a page may send a request (Fetch standard,
 * "CORS-preflight request"). Which pages may is decided in conf/blocks.conf, which also puts the
 * headers that any answer needs on this one. */

/* The answer for a path with these methods (of enum http_method): 204, with Allow. When the page
 * may: also the methods, the headers that it asked for, and for how long the browser may rely on
 * it. */
int cors_options(struct call *c, unsigned methods, struct err *err);

/* The first API answers each OPTIONS like this, whatever the path. */
int cors_options_v1(struct call *c, struct err *err);

/* Adds Allow. */
int cors_add_allow(struct call *c, unsigned methods, struct err *err);

#endif
