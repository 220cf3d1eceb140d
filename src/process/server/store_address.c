#include "process/server/store_address.h"
#include <fcntl.h>
#include <unistd.h>

const char *
store_address(const struct options *o)
{
    return o->database != NULL ? o->database : "db";
}

int
store_address_check(const struct options *o, int dirfd, struct err *err)
{
    bool has_store = faccessat(dirfd, "db/tables", F_OK, 0) == 0;

    if (o->database != NULL && has_store)
        return err_set(err, ERR_UNSUPPORTED,
                       "this data directory has its own metadata in db/, which --database would "
                       "leave out: choose a new directory, and take over the images with import");
    /* Blobs in layers/ have a number only if the metadata is, or the blobs were, elsewhere
     * (store_blobs.h). A restored database has tables, and db/tables only after its first start. */
    if (o->database == NULL && o->blobs == NULL && !has_store &&
        faccessat(dirfd, "db/meta", F_OK, 0) != 0 &&
        faccessat(dirfd, "layers/registry-id", F_OK, 0) == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "the metadata of this registry isn't in its data directory: say with "
                       "--database where it is");
    return 0;
}
