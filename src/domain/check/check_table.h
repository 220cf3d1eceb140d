#pragma once

#include "domain/check/check_entry.h"

/* A rule: what must be true of records of one table. check_table.c has them all. */
struct check_rule {
    const char *kind;
    enum table table;
    unsigned edges; /* of table edge: only of these kinds, a bit each; 0: of all */
    const char *must;
    const char *repair; /* NULL: there is none */
    bool outside;       /* it looks at files, so not in a transaction */
    /* Reads in t. 1: the rule holds; 0: it doesn't, and c->why says what is wrong; -1. */
    int (*holds)(struct check *c, struct txn *t, const struct check_entry *e, struct err *err);
    /* Mends it in that transaction (t NULL: `outside`, in transactions of its own). 0, -1. */
    int (*mend)(struct check *c, struct txn *t, const struct check_entry *e, struct err *err);
};

extern const struct check_rule check_table[];
extern const size_t check_table_n;

/* The order in which the tables are read: a repair of one leaves work for the later ones. */
extern const enum table check_table_order[];
extern const size_t check_table_order_n;
