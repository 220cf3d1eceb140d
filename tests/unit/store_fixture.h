#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "domain/access/access_file.h"
#include "domain/access/token_key.h"
#include "domain/core/push.h"
#include "domain/registry.h"
#include "storage/files/blob_store.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/record.h"
#include "storage/tables/tbl_job.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* For the tests of storage, domain and protocol: each test has a fresh data directory, and with
 * fixture_store a fresh store in it. The working directory is the data directory. */

/* A user who may do everything, as long as there are no rules. */
extern const struct actor fixture_actor;

struct fixture {
    char home[80];
    struct registry reg;
    struct blob_store blobs;
    struct arena arena;
    struct err err;
    unsigned bodies; /* body files that were made */
    char body[200];
    struct access_file access;
    struct token_keys keys;
};

/* For cmocka_unit_test_setup_teardown: *state is a struct fixture. */
int fixture_files(void **state);  /* the directories alone */
int fixture_tokens(void **state); /* and a key of tokens: the bytes 0, 1, 2 and so on */
int fixture_store(void **state);  /* with a store; leases and expiry are an hour */
int fixture_done(void **state);

/* From now on the registry has these rules, groups, and users of a password file; NULL: none. */
void fixture_rules(struct fixture *f, const char *rules, const char *groups, const char *users);
void fixture_users(struct fixture *f, const char *users); /* without rules */

/* Puts the clock of this program forward (not that of the kernel, which dates files). */
void fixture_forward_ms(uint64_t ms);
/* It stands still until this is called with false, except for steps forward, and so does the
 * monotonic one, without steps. */
void fixture_stop_clock(bool stop);

/* How many jobs of a kind there are, due or not. */
int fixture_jobs(struct fixture *f, enum job_kind kind);

/* Runs fn in a transaction, and fails the test with the reason when that fails. */
void fixture_run(struct fixture *f, int (*fn)(struct txn *t, void *arg, struct err *err),
                 void *arg);

/* Fails the transaction (and then the test) instead of jumping out of it. */
#define WANT(x)                                                                           \
    do {                                                                                  \
        if (!(x))                                                                         \
            return err_set(err, ERR_SYSTEM, "%s:%d: not so: %s", __FILE__, __LINE__, #x); \
    } while (0)

/* Fails the test with err's message unless x is 0. */
#define OK(f, x)                                                               \
    do {                                                                       \
        if ((x) != 0)                                                          \
            fail_msg("%s: %s (code %d)", #x, (f)->err.message, (f)->err.code); \
    } while (0)

/* Fails the test unless x is -1 and the error is that one. */
#define REFUSED(f, x, e)                                                       \
    do {                                                                       \
        assert_int_equal((x), -1);                                             \
        if ((f)->err.code != (e))                                              \
            fail_msg("%s: %s (code %d)", #x, (f)->err.message, (f)->err.code); \
    } while (0)

/* A body file as nginx leaves one; the name as it gives it. Valid until the next call. */
const char *fixture_body(struct fixture *f, struct bytes content);

/* How many entries a directory has; -1 when there is none of that name. */
int fixture_entries(struct fixture *f, const char *directory);
/* How many files there are below layers/. */
int fixture_layer_files(struct fixture *f);
/* All of a file; the caller frees it. */
struct buf fixture_read(struct fixture *f, const char *name);

/* sha256 of a text. */
struct digest fixture_digest(const char *text);
/* n bytes that are the same each time for the same seed; the caller frees them. */
char *fixture_bytes(size_t n, unsigned seed);

/* Pushes a blob into a repository: begin, and finish with the bytes. */
struct digest fixture_blob(struct fixture *f, const char *repository, const char *text);
/* Is it there for that repository (nothing is renewed)? */
bool fixture_has_blob(struct fixture *f, const char *repository, const struct digest *d);
/* The blob's record: 1, 0. */
int fixture_blob_record(struct fixture *f, const struct digest *d, struct rec_blob *r);

/* ---- manifests ---- */

#define OCI_IMAGE "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"

/* An image of that config and one layer, as text in the arena; more: members behind, or "". */
const char *fixture_image(struct fixture *f, const struct digest *config,
                          const struct digest *layer, const char *more);
/* An index of one child. */
const char *fixture_index(struct fixture *f, const struct digest *child);

/* Pushes a document by tag, or by digest when tag is NULL; p is filled, also after a failure. */
int fixture_push(struct fixture *f, const char *repository, const char *tag, const char *document,
                 const char *content_type, struct push *p);
