#include "domain/transfer/import_unpack.h"
#include "domain/core/upload.h"
#include "storage/files/blob_file.h"
#include "storage/layers/layer_scan.h"
#include "util/fdio.h"

static int
write_unpacked(struct import_store *s, struct inflate *from, int to, struct err *err)
{
    struct bytes piece;
    int rc;

    while ((rc = inflate_pull(from, &piece, err)) == 1) {
        if (import_store_go_on(s, err) != 0 || upload_room(s->reg, piece.n, err) != 0 ||
            fdio_write_all(to, piece.p, piece.n, "uploads/", err) != 0)
            return -1;
        s->counts->bytes += piece.n;
        s->access->tell(s->access->arg, s->counts);
    }
    if (rc < 0 && err->code == ERR_NOT_BROWSABLE) /* a limit was passed */
        err->code = ERR_BAD_IMAGE;
    if (rc == 0 && (inflate_end(from) == INFLATE_CUT || inflate_end(from) == INFLATE_DAMAGED))
        rc = err_set(err, ERR_BAD_IMAGE, "the compressed file is %s",
                     inflate_end(from) == INFLATE_CUT ? "cut short" : "damaged");
    return rc;
}

int
import_unpack(struct import_store *s, int fd, enum inflate_format format, struct err *err)
{
    const struct inflate_options options = {.ratio = layer_scan_defaults.ratio,
                                            .slack = layer_scan_defaults.slack,
                                            .memory = layer_scan_defaults.memory,
                                            .fast = true};
    struct inflate *from = inflate_open(fd, format, &options, err);
    int to = from != NULL ? blob_file_create(s->reg->blobs, err) : -1;

    if (to >= 0 && write_unpacked(s, from, to, err) != 0) {
        fdio_close(to);
        to = -1;
    }
    inflate_close(from);
    return to;
}
