#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "storage/tables/record.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The password file that nginx reads, run/htpasswd: the users given on the command line, and those
 * of auth/htpasswd. nginx asks for passwords if the file exists. It exists if a user was given, or
 * if auth/htpasswd exists, even an empty one. */

struct htpasswd_state {
    bool closed;  /* passwords are asked for */
    size_t users; /* that have a password */
};

/* The largest auth/htpasswd, in bytes, and the most that all given users may take. */
#define HTPASSWD_MAX (4u * 1024 * 1024)

/* Bytes of a user name: records have room for that many. */
#define HTPASSWD_NAME_MAX RECORD_ACTOR_MAX
/* Bytes of a password: libcrypt takes no more. */
#define HTPASSWD_PASSWORD_MAX 511

#define HTPASSWD_OURS "auth/htpasswd" /* the administrator's file */
#define HTPASSWD_RUN "run/htpasswd"   /* written from it at each start and change, for nginx */

/* Check a user name, or a password. A name must not be empty, begin with #, contain a colon, or be
 * longer than HTPASSWD_NAME_MAX. Both must not contain control characters. 0, or -1 and
 * ERR_BAD_REQUEST; the message never contains the password. */
int htpasswd_check_name(struct bytes name, struct err *err);
int htpasswd_check_password(struct bytes password, struct err *err);

#define HTPASSWD_SALT_BYTES 16

/* Appends "NAME:HASH\n" to lines. The hash is SHA-256-crypt with the format's default of rounds,
 * and no more, because nginx computes it in its event loop at each request. Name and password have
 * passed the checks above. salt: HTPASSWD_SALT_BYTES that cannot be guessed. The same salt, name
 * and password give the same line. */
int htpasswd_add(struct buf *lines, const char *name, const char *password, const uint8_t *salt,
                 struct err *err);

/* Writes run/htpasswd from the given lines (of htpasswd_add) and auth/htpasswd, or removes it when
 * there are neither. For a user in both, the given line counts. Lines that aren't NAME:HASH, or
 * whose name is too long, are left out with a warning. After a failure the file and *state are
 * unchanged. */
int htpasswd_install(int dirfd, struct bytes given, struct htpasswd_state *state, struct err *err);

/* ---- editing: file is the text of auth/htpasswd ---- */

/* The next line of *rest, without its line end, that nginx accepts as NAME:HASH, and the name in
 * it. False at the end. */
bool htpasswd_next(struct bytes *rest, struct bytes *line, struct bytes *name);

/* The line of that user, without its line end; {NULL, 0} when there is none. */
struct bytes htpasswd_find(struct bytes file, struct bytes name);

/* Appends to out the file with that line ("NAME:HASH\n") in place of the first line of that name,
 * or at the end when there is none. Further lines of that name are removed; all other bytes stay.
 */
void htpasswd_put(struct bytes file, struct bytes name, struct bytes line, struct buf *out);

/* Appends to out the file without the lines that begin with "NAME:", valid or not. 1: there was
 * one. 0: there was none. */
int htpasswd_remove(struct bytes file, struct bytes name, struct buf *out);
