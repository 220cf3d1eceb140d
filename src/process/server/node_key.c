#include "process/server/node_key.h"
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "storage/kv/kv_nodes.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tables.h"
#include "util/digest.h"
#include "util/fdio.h"
#include "util/log.h"

#define SECRET "token"
/* The digest of the keys that database and copy had in common last. A copy that is another one was
 * rotated here since. */
#define COMMON_NAME "auth/token.key.common"
/* Its text while the copy is replaced. */
#define REPLACING "replacing\n"
#define TRIES 3

static int
note_common(int dirfd, const char *text, struct err *err)
{
    return fdio_replace_file(dirfd, COMMON_NAME, 0600, bytes_str(text), err);
}

static void
name_keys(char out[DIGEST_TEXT_MAX + 1], struct bytes keys)
{
    struct digest d;
    char text[DIGEST_TEXT_MAX];

    digest_of(&d, DIGEST_SHA256, keys);
    digest_text(text, &d);
    snprintf(out, DIGEST_TEXT_MAX + 1, "%s\n", text);
}

static int
take_from_database(int dirfd, struct bytes stored, struct err *err)
{
    char name[DIGEST_TEXT_MAX + 1];

    if (stored.n != TOKEN_KEYS_BYTES)
        return err_set(err, ERR_CORRUPT, "the key of tokens in the database can't be read");
    name_keys(name, stored);
    if (note_common(dirfd, REPLACING, err) != 0 || token_keys_import(dirfd, stored.p, err) != 0 ||
        note_common(dirfd, name, err) != 0)
        return -1;
    log_line(LOG_INFO, "the key of tokens is now that of the database", NULL);
    return 1;
}

/* common: what the file says; "": there is none. 1: done; 0: again, since another node was faster;
 * -1. */
static int
compare_keys(int dirfd, struct kv *kv, struct bytes ours, struct bytes stored, const char *common,
             struct err *err)
{
    char name[DIGEST_TEXT_MAX + 1];
    int rc;

    name_keys(name, ours);
    if (bytes_equal(ours, stored))
        return strcmp(common, name) == 0 || note_common(dirfd, name, err) == 0 ? 1 : -1;
    if (stored.n > 0 &&
        (*common == '\0' || strcmp(common, REPLACING) == 0 || strcmp(common, name) == 0))
        return take_from_database(dirfd, stored, err);
    rc = kv_node_secret_put(kv, SECRET, stored, ours, err);
    if (rc != 1)
        return rc;
    log_line(LOG_INFO, "the database has the key of tokens of this node", NULL);
    return note_common(dirfd, name, err) == 0 ? 1 : -1;
}

static int
try_to_follow(int dirfd, struct kv *kv, struct buf *stored, struct buf *common, struct err *err)
{
    uint8_t ours[TOKEN_KEYS_BYTES];
    int rc = token_keys_export(dirfd, ours, err);

    if (rc != 1)
        return rc < 0 ? -1 : 1; /* the next start makes one */
    if (kv_node_secret_get(kv, SECRET, stored, err) < 0 ||
        fdio_read_file(dirfd, COMMON_NAME, common, err) < 0)
        return -1;
    rc = compare_keys(dirfd, kv, bytes_of(ours, sizeof ours), buf_bytes(stored), buf_text(common),
                      err);
    explicit_bzero(ours, sizeof ours);
    return rc;
}

int
node_key_follow(int dirfd, struct kv *kv, struct err *err)
{
    struct buf stored, common;
    int rc = 0;

    buf_init(&stored, KV_SECRET_MAX);
    buf_init(&common, 256);
    for (int i = 0; i < TRIES && rc == 0; i++)
        rc = try_to_follow(dirfd, kv, &stored, &common, err);
    buf_free(&stored);
    buf_free(&common);
    return rc < 0 ? -1 : 0;
}

/* A process of its own, since the master never opens the database. If that doesn't answer, or has
 * no tables yet, the recovery tells; the keeper follows later. */
static void
follow_in_child(int dirfd, const char *database)
{
    struct err err;
    struct kv *kv;
    pid_t pid = fork();

    if (pid == 0) {
        kv = kv_open(database, tables, TABLE_COUNT, NULL, NULL, &err);
        if (kv != NULL && node_key_follow(dirfd, kv, &err) != 0)
            log_line(LOG_WARN, "the key of tokens may differ from that of other servers", "why=%s",
                     err.message);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* The users' lines are made with the key, so it has to be the right one before. */
int
node_key_open(struct token_keys *k, int dirfd, const char *database, struct err *err)
{
    if (token_keys_open(k, dirfd, err) != 0)
        return -1;
    if (database == NULL)
        return 0;
    follow_in_child(dirfd, database);
    return token_keys_open(k, dirfd, err);
}
