#include "domain/core/store_blobs.h"
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/files/blob_file.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_meta.h"
#include "util/fdio.h"
#include "util/random.h"

#define INSIDE_ID "layers/registry-id"

/* 0: none. */
struct store_ids {
    uint64_t database;
    uint64_t wanted; /* an earlier start was giving this one to both */
    uint64_t files;
};

static int
read_store_ids(const struct registry *reg, struct store_ids *x, struct err *err)
{
    struct txn *t = kv_reads(reg->kv);

    *x = (struct store_ids){.database = 0};
    if (tbl_meta_get(t, META_BLOBS_ID, &x->database, err) < 0 ||
        tbl_meta_get(t, META_BLOBS_WANTED, &x->wanted, err) < 0)
        return -1;
    return blob_store_read_id(reg->blobs, &x->files, err) < 0 ? -1 : 0;
}

/* Can the database and the blobs be parted? */
static bool
are_apart(const struct registry *reg)
{
    return blob_store_is_outside(reg->blobs) || kv_is_remote(reg->kv);
}

/* The same for blobs in the data directory. */
static int
refuse_parted(const struct registry *reg, const struct store_ids *x, struct err *err)
{
    if (!kv_is_remote(reg->kv))
        return x->database != 0
                   ? err_set(err, ERR_UNSUPPORTED,
                             "the blobs of this registry aren't in its data directory: say with "
                             "--blobs where they are")
                   : err_set(err, ERR_UNSUPPORTED,
                             "the metadata of this registry isn't in its data directory: say with "
                             "--database where it is");
    if (x->files == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "the blobs of --database aren't in this data directory, which has no "
                       "layers/registry-id: say with --blobs where they are, or name another "
                       "database (the number of this one is %016llx)",
                       (unsigned long long)x->database);
    return err_set(err, ERR_UNSUPPORTED,
                   "--database doesn't belong to this data directory, whose layers/registry-id is "
                   "%016llx: the database's number is %016llx",
                   (unsigned long long)x->files, (unsigned long long)x->database);
}

static int
refuse_ids(const struct registry *reg, const struct store_ids *x, struct err *err)
{
    if (!blob_store_is_outside(reg->blobs))
        return refuse_parted(reg, x, err);
    if (x->files == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "--blobs %.150s doesn't have the blobs of this registry (there is no "
                       "registry-id): is it mounted?",
                       reg->blobs->name);
    if (x->database == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "--blobs %.150s has the blobs of another registry: its registry-id is "
                       "%016llx, and this database is new",
                       reg->blobs->name, (unsigned long long)x->files);
    return err_set(err, ERR_UNSUPPORTED,
                   "--blobs %.150s has the blobs of another registry: its registry-id is %016llx, "
                   "and the database's is %016llx",
                   reg->blobs->name, (unsigned long long)x->files, (unsigned long long)x->database);
}

int
store_blobs_check(const struct registry *reg, struct err *err)
{
    struct store_ids x;

    if (read_store_ids(reg, &x, err) != 0)
        return -1;
    if (x.database == 0 && are_apart(reg))
        return err_set(err, ERR_UNSUPPORTED,
                       "this registry has not been started with --blobs yet, and not with "
                       "--read-only first");
    return x.database == x.files ? 0 : refuse_ids(reg, &x, err);
}

/* ---- the first start with --blobs ---- */

static int
look_for_known_blob(const struct digest *d, const struct rec_blob *r, void *arg, struct err *err)
{
    const struct registry *reg = arg;
    char text[DIGEST_TEXT_MAX];
    int64_t modified;

    if (blob_file_is(reg->blobs, d, r->instance, r->size, &modified))
        return 0;
    digest_text(text, d);
    return err_set(err, ERR_UNSUPPORTED,
                   "--blobs %.100s doesn't have %s: copy the files of layers/ there first, with "
                   "cp -a",
                   reg->blobs->name, text);
}

static int
look_for_known_blobs(const struct registry *reg, struct err *err)
{
    const struct digest none = {.algo = DIGEST_NONE};
    struct registry copy = *reg;

    if (blob_store_refuse_strangers(reg->blobs, err) != 0)
        return -1;
    return tbl_blob_each(kv_reads(reg->kv), &none, look_for_known_blob, &copy, err);
}

/* Another server of the database may begin at the same moment: the first number counts. */
static int
choose_id(struct txn *t, void *arg, struct err *err)
{
    uint64_t *id = arg;

    *id = 0;
    if (tbl_meta_get(t, META_BLOBS_ID, id, err) < 0 ||
        (*id == 0 && tbl_meta_get(t, META_BLOBS_WANTED, id, err) < 0))
        return -1;
    if (*id != 0)
        return 0;
    do
        *id = random_u64();
    while (*id == 0);
    return tbl_meta_put(t, META_BLOBS_WANTED, *id, err);
}

int
store_blobs_choose(const struct registry *reg, uint64_t *id, struct err *err)
{
    return txn_run(reg->kv, choose_id, id, err) == 0 ? kv_flush(reg->kv, err) : -1;
}

static int
put_id(struct txn *t, void *arg, struct err *err)
{
    return tbl_meta_put(t, META_BLOBS_ID, *(const uint64_t *)arg, err);
}

int
store_blobs_are_at(struct kv *kv, uint64_t number, struct err *err)
{
    return txn_run(kv, put_id, &number, err) == 0 ? kv_flush(kv, err) : -1;
}

/* The database names the number before the file exists, so that a start that is killed in between
 * is repeated. */
static int
give_ids(const struct registry *reg, struct store_ids *x, struct err *err)
{
    /* The number in the file may be one that another server has chosen since the look at the
     * database. */
    if (x->files != 0 && x->files != x->wanted && read_store_ids(reg, x, err) != 0)
        return -1;
    if (x->files != 0 && x->files != x->wanted)
        return refuse_ids(reg, x, err);
    if (look_for_known_blobs(reg, err) != 0 || store_blobs_choose(reg, &x->wanted, err) != 0 ||
        blob_store_write_id(reg->blobs, x->wanted, err) != 0)
        return -1;
    return store_blobs_are_at(reg->kv, x->wanted, err);
}

/* With --blobs, layers/ of the data directory is out of date, and no start may take it for the
 * blobs: a copy of it was made with the number, or the number is that of an earlier way back. */
static int
forget_blobs_inside(const struct registry *reg, struct err *err)
{
    struct stat inside, used;

    if (reg->read_only || !blob_store_is_outside(reg->blobs))
        return 0;
    /* --blobs may name that directory itself. */
    if (reg->blobs->outside >= 0 && fstatat(reg->dirfd, "layers", &inside, 0) == 0 &&
        fstat(reg->blobs->outside, &used) == 0 && inside.st_dev == used.st_dev &&
        inside.st_ino == used.st_ino)
        return 0;
    if (faccessat(reg->dirfd, INSIDE_ID, F_OK, 0) != 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot look for " INSIDE_ID);
    if (look_for_known_blobs(reg, err) != 0)
        return -1;
    if (unlinkat(reg->dirfd, INSIDE_ID, 0) != 0)
        return err_errno(err, "cannot remove " INSIDE_ID);
    return fdio_fsync_dir(reg->dirfd, "layers", err);
}

int
store_blobs_begin(const struct registry *reg, struct err *err)
{
    struct store_ids x;
    int rc;

    if (read_store_ids(reg, &x, err) != 0)
        return -1;
    /* Also if a move to another database gave the number to the files, and was killed. */
    if (x.database == 0 && !reg->read_only &&
        (are_apart(reg) || (x.files != 0 && x.files == x.wanted)))
        rc = give_ids(reg, &x, err);
    else
        rc = store_blobs_check(reg, err);
    return rc == 0 ? forget_blobs_inside(reg, err) : -1;
}

int
store_blobs_restore(const struct registry *reg, struct err *err)
{
    struct store_ids x;

    if (read_store_ids(reg, &x, err) != 0)
        return -1;
    if (x.files == x.database)
        return 0;
    if (x.files != 0)
        return refuse_ids(reg, &x, err);
    if (blob_store_is_outside(reg->blobs) && blob_store_refuse_strangers(reg->blobs, err) != 0)
        return -1;
    return blob_store_write_id(reg->blobs, x.database, err);
}
