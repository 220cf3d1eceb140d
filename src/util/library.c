#include "util/library.h"
#include <dlfcn.h>
#include <string.h>

int
library_load(const struct library *library, void *table, struct err *err)
{
    void *handle = NULL, *function;

    for (size_t i = 0; handle == NULL && i < 2 && library->files[i] != NULL; i++)
        handle = dlopen(library->files[i], RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s can't be loaded (%s): install the Debian package %s", library->what,
                       dlerror(), library->package);
    for (size_t i = 0; i < library->functions_n; i++)
        if (dlsym(handle, library->functions[i].name) == NULL) {
            dlclose(handle);
            return err_set(err, ERR_UNSUPPORTED, "%s has no %s: it is too old", library->what,
                           library->functions[i].name);
        }
    for (size_t i = 0; i < library->functions_n; i++) {
        function = dlsym(handle, library->functions[i].name);
        memcpy((char *)table + library->functions[i].at, &function, sizeof function);
    }
    return 0;
}
