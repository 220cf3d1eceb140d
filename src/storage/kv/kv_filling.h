#pragma once

#include "storage/kv/kv_check.h"
#include "storage/kv/kv_types.h"
#include "util/buf.h"
#include "util/err.h"

/* The interface between kv.c and a filling: a table of functions, and the structs that both share.
 * A filling's own structs begin with struct kv and struct kv_cursor.
 *
 * kv.c checks the arguments before it calls a filling: the kind of the table, the length of keys
 * and records, that a transaction is still good, that a write is inside one. It repeats
 * transactions, and ends ranges. The functions promise what the function of the same name in kv.h
 * or kv_open.h promises. */

struct kv_log_state;
struct kv_node;
struct kv_node_self;
struct kv_slot;
struct kv_stats;

struct txn {
    struct kv *kv;
    bool is_reads;   /* kv_reads */
    bool relaxed;    /* kv_relax */
    struct err doom; /* the error because of which it can't be committed; ERR_BUSY: a conflict */
};

struct kv {
    const struct kv_filling *filling;
    const struct kv_table *tables;
    size_t n;
    const char *dir;   /* the store's directory; owned by the filling */
    int keep_room;     /* a descriptor of dir, to check the room; -1: not checked */
    bool is_read_only; /* kv_refuse_writes */
    bool is_running;   /* a transaction */
    bool is_moment;    /* kv_moment_begin */
    uint64_t flights;  /* kv_flights */
    unsigned cursors;  /* that are open */
    struct txn reads;
    struct txn txn; /* the one that runs */
};

struct kv_cursor {
    struct txn *t;
    unsigned table;
    struct kv_range range; /* `from` is where it starts; valid during cursor_seek */
    size_t seen;           /* entries, for the limit */
    bool is_on;            /* it is on an entry: */
    struct bytes key, val; /* the filling's memory */
};

/* What is announced. */
enum kv_read {
    KV_GET,
    KV_GET_FOR_UPDATE,
    KV_SEEK,
    KV_LAST,
};

struct kv_filling {
    bool is_remote; /* kv_is_remote */
    int (*recover)(const char *dir, const struct kv_table *tables, size_t n, struct err *err);
    struct kv *(*open)(const char *dir, const struct kv_table *tables, size_t n,
                       struct kv_slot *slot, void (*lost)(const char *why), struct err *err);
    void (*close)(struct kv *kv);

    /* tries: the conflicts that this transaction has lost so far; begin waits a moment if there
     * were any. After a conflict, commit and all functions below set `doom`; commit has then undone
     * everything. */
    int (*begin)(struct kv *kv, unsigned tries, struct err *err);
    int (*commit)(struct txn *t, struct err *err);
    void (*abort)(struct txn *t);

    int (*get)(struct txn *t, unsigned table, struct bytes key, bool for_update, struct buf *val,
               struct err *err);
    int (*put)(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err);
    int (*delete)(struct txn *t, unsigned table, struct bytes key, struct err *err);
    int (*drop)(struct txn *t, unsigned table, struct bytes key, struct err *err);
    int (*append)(struct txn *t, unsigned table, struct bytes val, struct err *err);
    int (*place)(struct txn *t, unsigned table, struct bytes key, struct bytes val,
                 struct err *err);

    /* NULL: announcements are of no use. Tables are no queues. The key, or the prefix of KV_LAST,
     * is range->from. begin, commit and abort end announcements, too. */
    void (*expect)(struct txn *t, enum kv_read how, unsigned table, const struct kv_range *range);
    void (*expect_end)(struct txn *t);

    /* Cursors: NULL on failure. seek goes to the first entry from c->range.from on (without it if
     * c->range.behind), and must not fetch beyond the range. Both moves set key and val. */
    struct kv_cursor *(*cursor_open)(struct txn *t, unsigned table, struct err *err);
    void (*cursor_close)(struct kv_cursor *c);
    int (*cursor_seek)(struct kv_cursor *c, struct err *err);
    int (*cursor_next)(struct kv_cursor *c, struct err *err);
    int (*last)(struct txn *t, unsigned table, struct bytes prefix, struct buf *key,
                struct buf *val, struct err *err);

    int (*flush)(struct kv *kv, struct err *err);
    int (*checkpoint)(struct kv *kv, uint32_t log_kbytes, uint32_t minutes, struct err *err);
    int (*stats)(struct kv *kv, struct kv_stats *out, struct err *err);
    int (*trim_logs)(struct kv *kv, struct err *err);

    /* kv_nodes.h; only a filling that is_remote has them. */
    int (*node_join)(struct kv *kv, const struct kv_node *self, struct err *err);
    int (*node_beat)(struct kv *kv, struct kv_node *self, struct err *err);
    int (*node_leave)(struct kv *kv, const struct kv_node *self, bool is_over, struct err *err);
    int (*node_lead)(struct kv *kv, const struct kv_node *self, uint64_t *wait_ms, struct err *err);
    bool (*node_leads)(const struct kv *kv);
    int (*node_find)(struct kv *kv, uint32_t number, struct kv_node *out, struct err *err);
    int (*secret_get)(struct kv *kv, const char *name, struct buf *value, struct err *err);
    int (*secret_put)(struct kv *kv, const char *name, struct bytes before, struct bytes value,
                      struct err *err);
    int (*node_self)(struct kv *kv, const char *run, struct kv_node_self *out, struct err *err);
    int (*node_list)(struct kv *kv, struct kv_node *out, size_t *n, struct err *err);

    /* kv_moment.h; only a filling that is_remote has them. */
    int (*moment_begin)(struct kv *kv, struct err *err);
    void (*moment_end)(struct kv *kv);
    int (*hold_files)(struct kv *kv, struct err *err);
    int (*are_files_held)(struct kv *kv, struct err *err);

    /* kv_backup.h. A filling whose store isn't a directory has only the first of these. */
    int (*copy)(struct kv *kv, const char *to, uint64_t *moment_ms, bool (*is_over)(void *arg),
                void *arg, struct err *err);
    int (*mend)(const char *dir, const struct kv_table *tables, size_t n, struct err *err);
    int (*verify)(const char *dir, const struct kv_table *tables, size_t n, struct err *err);
    int (*cut_logs)(const char *dir, const char *store, struct kv_log_state *out, struct err *err);
    int (*take_tables)(const char *store, const char *to, const struct kv_table *tables, size_t n,
                       struct err *err);
    int (*note_stop)(const char *dir, struct err *err);
    uint32_t (*log_number)(const char *name);
    struct kv *(*open_quiet)(const char *dir, const struct kv_table *tables, size_t n,
                             struct err *err);
    struct kv *(*make)(const char *dir, const struct kv_table *tables, size_t n, struct err *err);
    int (*made)(struct kv *kv, struct err *err);
    /* kv_copy.h, kv_check.h */
    int (*copy_size)(const char *dir, uint64_t *bytes, struct err *err);
    int (*copy_files)(const char *from, const char *to, kv_copy_tick *tick, void *arg,
                      struct err *err);
    int (*check_copy)(const char *dir, bool is_hot, const struct kv_table *tables, size_t n,
                      kv_check_fault *fault, kv_copy_tick *tick, void *arg, struct err *err);
};
