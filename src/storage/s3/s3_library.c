#ifdef HAVE_CURL

#define S3_LIBRARY_ITSELF
#include "storage/s3/s3_library.h"
#include <assert.h>
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

/* With OpenSSL, or else with GnuTLS: the functions are the same. */
static const char *const libraries[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};

struct s3_library s3_library;

#define CURL_FUNCTION(name)                      \
    {                                            \
#name, offsetof(struct s3_library, name) \
    }
static const struct {
    const char *name;
    size_t at;
} curl_functions[] = {
    CURL_FUNCTION(curl_easy_getinfo), CURL_FUNCTION(curl_easy_init),
    CURL_FUNCTION(curl_easy_perform), CURL_FUNCTION(curl_easy_reset),
    CURL_FUNCTION(curl_easy_setopt),  CURL_FUNCTION(curl_easy_strerror),
    CURL_FUNCTION(curl_getdate),      CURL_FUNCTION(curl_global_init),
    CURL_FUNCTION(curl_slist_append), CURL_FUNCTION(curl_slist_free_all),
};

int
s3_library_load(struct err *err)
{
    struct s3_library found;
    void *library = NULL, *function;

    static_assert(sizeof curl_functions / sizeof curl_functions[0] ==
                      sizeof found / sizeof function,
                  "each has its place");
    if (s3_library.curl_easy_init != NULL)
        return 0;
    for (size_t i = 0; library == NULL && i < sizeof libraries / sizeof *libraries; i++)
        library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return err_set(err, ERR_UNSUPPORTED,
                       "--blobs s3://...: libcurl can't be loaded (%s): install the Debian package "
                       "libcurl4",
                       dlerror());
    for (size_t i = 0; i < sizeof curl_functions / sizeof curl_functions[0]; i++) {
        function = dlsym(library, curl_functions[i].name);
        if (function == NULL) {
            dlclose(library);
            return err_set(err, ERR_UNSUPPORTED, "--blobs s3://...: libcurl has no %s",
                           curl_functions[i].name);
        }
        memcpy((char *)&found + curl_functions[i].at, &function, sizeof function);
    }
    s3_library = found;
    return 0;
}

#endif
