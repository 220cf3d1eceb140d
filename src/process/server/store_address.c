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
    bool is_moved = faccessat(dirfd, STORE_ADDRESS_MOVED, F_OK, 0) == 0;

    if (o->database != NULL && has_store && !is_moved)
        return err_set(err, ERR_UNSUPPORTED,
                       "this data directory has its own metadata in db/, which --database would "
                       "leave out: move it there with docker-registry-server migrate");
    if (o->database == NULL && is_moved)
        return err_set(
            err, ERR_UNSUPPORTED,
            "the metadata of this registry was moved to a database: say with --database "
            "where it is (what is in db/ is out of date; it counts again when " STORE_ADDRESS_MOVED
            " is removed)");
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
