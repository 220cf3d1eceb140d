#pragma once

#include <curl/curl.h>
#include "util/err.h"

/* libcurl, which is loaded when the first bucket is opened: a registry that has its blobs in files
 * doesn't need it. */

/* 0, also if it is loaded already; -1. */
int s3_library_load(struct err *err);

/* Macros that check types. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

/* Its functions, which are called by their names. */
extern struct s3_library {
    __typeof__(curl_easy_getinfo) *curl_easy_getinfo;
    __typeof__(curl_easy_init) *curl_easy_init;
    __typeof__(curl_easy_perform) *curl_easy_perform;
    __typeof__(curl_easy_reset) *curl_easy_reset;
    __typeof__(curl_easy_setopt) *curl_easy_setopt;
    __typeof__(curl_easy_strerror) *curl_easy_strerror;
    __typeof__(curl_getdate) *curl_getdate;
    __typeof__(curl_global_init) *curl_global_init;
    __typeof__(curl_slist_append) *curl_slist_append;
    __typeof__(curl_slist_free_all) *curl_slist_free_all;
} s3_library;

#ifndef S3_LIBRARY_ITSELF
#define curl_easy_getinfo s3_library.curl_easy_getinfo
#define curl_easy_init s3_library.curl_easy_init
#define curl_easy_perform s3_library.curl_easy_perform
#define curl_easy_reset s3_library.curl_easy_reset
#define curl_easy_setopt s3_library.curl_easy_setopt
#define curl_easy_strerror s3_library.curl_easy_strerror
#define curl_getdate s3_library.curl_getdate
#define curl_global_init s3_library.curl_global_init
#define curl_slist_append s3_library.curl_slist_append
#define curl_slist_free_all s3_library.curl_slist_free_all
#endif
