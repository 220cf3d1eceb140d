#include "storage/kv/kv_open.h"
#include "storage/kv/bdb_filling.h"
#include "storage/kv/kv_backup.h"
#include "storage/kv/kv_check.h"
#include "storage/kv/pg_filling.h"
#include "util/fdio.h"

/* The one place that chooses a filling. Copies and checks of directories are Berkeley DB's. */

static const struct kv_filling *const filling = &bdb_filling;

bool
kv_open_is_remote(const char *dir)
{
    return strncmp(dir, "postgresql:", strlen("postgresql:")) == 0;
}

static const struct kv_filling *
choose_filling(const char *dir, struct err *err)
{
    if (!kv_open_is_remote(dir))
        return &bdb_filling;
#ifdef HAVE_LIBPQ
    (void)err;
    return &pg_filling;
#else
    err_set(err, ERR_UNSUPPORTED, "this program was built without PostgreSQL's library");
    return NULL;
#endif
}

int
kv_recover(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    const struct kv_filling *f = choose_filling(dir, err);

    return f != NULL ? f->recover(dir, tables, n, err) : -1;
}

/* kv: from the filling f, or NULL. */
static struct kv *
set_up_kv(const struct kv_filling *f, struct kv *kv, const struct kv_table *tables, size_t n)
{
    if (kv == NULL)
        return NULL;
    kv->filling = f;
    kv->tables = tables;
    kv->n = n;
    kv->keep_room = -1;
    kv->reads = (struct txn){.kv = kv, .is_reads = true};
    kv->txn = (struct txn){.kv = kv};
    return kv;
}

struct kv *
kv_open(const char *dir, const struct kv_table *tables, size_t n, struct kv_slot *slot,
        void (*lost)(const char *why), struct err *err)
{
    const struct kv_filling *f = choose_filling(dir, err);

    return f != NULL ? set_up_kv(f, f->open(dir, tables, n, slot, lost, err), tables, n) : NULL;
}

struct kv *
kv_backup_open(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    return set_up_kv(filling, filling->open_quiet(dir, tables, n, err), tables, n);
}

struct kv *
kv_backup_make(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    return set_up_kv(filling, filling->make(dir, tables, n, err), tables, n);
}

int
kv_backup_made(struct kv *kv, struct err *err)
{
    return kv->filling->made(kv, err);
}

void
kv_close(struct kv *kv)
{
    if (kv == NULL)
        return;
    fdio_close(kv->keep_room);
    kv->filling->close(kv);
}

/* ---- copies ---- */

int
kv_backup_copy(struct kv *kv, const char *to, uint64_t *moment_ms, bool (*is_over)(void *arg),
               void *arg, struct err *err)
{
    return kv->filling->copy(kv, to, moment_ms, is_over, arg, err);
}

int
kv_backup_mend(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    return filling->mend(dir, tables, n, err);
}

int
kv_backup_verify(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    return filling->verify(dir, tables, n, err);
}

int
kv_backup_cut_logs(const char *dir, const char *store, struct kv_log_state *out, struct err *err)
{
    return filling->cut_logs(dir, store, out, err);
}

int
kv_backup_take_tables(const char *store, const char *to, const struct kv_table *tables, size_t n,
                      struct err *err)
{
    return filling->take_tables(store, to, tables, n, err);
}

int
kv_backup_note_stop(const char *dir, struct err *err)
{
    return kv_open_is_remote(dir) ? 0 : filling->note_stop(dir, err);
}

uint32_t
kv_backup_log_number(const char *name)
{
    return filling->log_number(name);
}

/* ---- kv_copy.h, kv_check.h ---- */

int
kv_copy_size(const char *dir, uint64_t *bytes, struct err *err)
{
    return filling->copy_size(dir, bytes, err);
}

int
kv_copy_files(const char *from, const char *to, kv_copy_tick *tick, void *arg, struct err *err)
{
    return filling->copy_files(from, to, tick, arg, err);
}

int
kv_check_copy(const char *dir, bool is_hot, const struct kv_table *tables, size_t n,
              kv_check_fault *fault, kv_copy_tick *tick, void *arg, struct err *err)
{
    return filling->check_copy(dir, is_hot, tables, n, fault, tick, arg, err);
}
