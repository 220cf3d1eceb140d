#pragma once

#include <stddef.h>
#include "util/err.h"

/* The table of errors: what a client gets for each code of util/err.h, and for each error that
 * nginx answers by itself. reply_error.c makes replies of it, and process/nginx/nginx_conf.c the
 * maps of nginx's configuration. */

struct error_row {
    int status;
    const char *code;        /* OCI distribution-spec 1.1, "Error Codes", and docker's */
    const char *hint;        /* what to do about it */
    const char *retry_after; /* in seconds; NULL: the reply has no such header */
    const char *expected;    /* the grammar that the request should have followed; NULL: none */
};

/* Never NULL. */
const struct error_row *error_table_row(enum err_code code);

/* An error of nginx. The key is its status, followed by a word if the status has several reasons:
 * the arguments of error pages in conf/blocks.conf, block ERRORS. "default" is the row of all other
 * errors. The OCI code is that of `like`. Texts and hints may name values of conf/blocks.conf, as
 * @MAX_BLOB@. */
struct error_table_nginx {
    const char *key;
    enum err_code like;
    const char *text;
    const char *hint;        /* NULL: that of "default" */
    const char *retry_after; /* as above */
};

extern const struct error_table_nginx error_table_nginx[];
extern const size_t error_table_nginx_n;
