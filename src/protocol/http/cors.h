#pragma once

#include "protocol/http/call.h"

/* Answers OPTIONS, including the preflights that a browser sends before a request of a web page
 * (Fetch standard, "CORS-preflight request"). nginx decides which pages may read answers, and adds
 * the headers that every answer needs (conf/blocks.conf). */

/* Answers for a path with these methods (of enum http_method, or-ed): 204 with Allow. If the page
 * may read the answer, it also has Access-Control-Allow-Methods, -Allow-Headers (those that were
 * asked for), and -Max-Age. */
int cors_options(struct call *c, unsigned methods, struct err *err);

/* The same for the first API, with one answer for all paths. Only a page that may read the answer
 * gets a list of methods: GET and HEAD if it asks for one of these, otherwise all. */
int cors_options_v1(struct call *c, struct err *err);

/* Refuses (ERR_FOREIGN_PAGE) a request by which a web page of a foreign origin would change
 * something, since browsers send some of them (POST) without a preflight. Origins that --cors names
 * are not foreign, and neither is the host of the request; without users, only if strangers can't
 * choose that host's name. */
int cors_check(struct call *c, struct err *err);

/* Adds the header Allow. */
int cors_add_allow(struct call *c, unsigned methods, struct err *err);
