#ifdef HAVE_CURL

#define S3_LIBRARY_ITSELF
#include "storage/s3/s3_library.h"
#include <assert.h>
#include "util/library.h"

struct s3_library s3_library;

#define CURL_FUNCTION(name) LIBRARY_FUNCTION(s3_library, name)
static const struct library_function curl_functions[] = {
    CURL_FUNCTION(curl_easy_getinfo), CURL_FUNCTION(curl_easy_init),
    CURL_FUNCTION(curl_easy_perform), CURL_FUNCTION(curl_easy_reset),
    CURL_FUNCTION(curl_easy_setopt),  CURL_FUNCTION(curl_easy_strerror),
    CURL_FUNCTION(curl_getdate),      CURL_FUNCTION(curl_global_init),
    CURL_FUNCTION(curl_slist_append), CURL_FUNCTION(curl_slist_free_all),
};
#define CURL_FUNCTIONS (sizeof curl_functions / sizeof curl_functions[0])

/* With OpenSSL, or else with GnuTLS: the functions are the same. */
static const struct library curl = {
    .what = "--blobs s3://...: libcurl",
    .package = "libcurl4",
    .files = {"libcurl.so.4", "libcurl-gnutls.so.4"},
    .functions = curl_functions,
    .functions_n = CURL_FUNCTIONS,
};

int
s3_library_load(struct err *err)
{
    static_assert(CURL_FUNCTIONS == sizeof s3_library / sizeof(void *), "each is loaded");
    return s3_library.curl_easy_init != NULL ? 0 : library_load(&curl, &s3_library, err);
}

#endif
