#include "process/server/open_files.h"
#include "util/fdio.h"

/* A worker needs forty, and nginx and a worker's kept connections the rest. */
#define OPEN_FILES_MIN 512

int
open_files_want(struct err *err)
{
    size_t n = fdio_raise_limit(OPEN_FILES_MIN);

    if (n >= OPEN_FILES_MIN)
        return 0;
    return err_set(
        err, ERR_SYSTEM,
        "only %zu files may be open (ulimit -Hn), and the server needs %d: raise this limit", n,
        OPEN_FILES_MIN);
}
