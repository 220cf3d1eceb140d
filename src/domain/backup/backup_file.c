#include "domain/backup/backup_file.h"
#include "util/fdio.h"
#include "util/mem.h"

#define BACKUP_PIECE ((size_t)256 << 10)

int
backup_file_copy(int to, int from, enum digest_algo algo, struct digest *digest, uint64_t *size,
                 bool (*is_over)(void *arg), void *arg, const char *what, struct err *err)
{
    struct digest_state *hash = digest_begin(algo);
    char *room = mem_alloc(BACKUP_PIECE);
    ssize_t got = 0;
    int rc = 0;

    *size = 0;
    while (rc == 0 && (got = fdio_read_at(from, room, BACKUP_PIECE, *size)) > 0) {
        digest_update(hash, room, (size_t)got);
        rc = fdio_write_at(to, room, (size_t)got, *size, what, err);
        *size += (uint64_t)got;
        if (rc == 0 && is_over(arg))
            rc = err_set(err, ERR_BUSY, "interrupted");
    }
    if (rc == 0 && got < 0) {
        err_errno(err, "cannot read %s", what);
        rc = BACKUP_FILE_UNREAD;
    }
    digest_end(hash, digest);
    free(room);
    return rc == 0 ? fdio_fsync(to, what, err) : rc;
}
