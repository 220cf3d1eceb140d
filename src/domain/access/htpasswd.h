#ifndef DOMAIN_ACCESS_HTPASSWD_H
#define DOMAIN_ACCESS_HTPASSWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "storage/tables/record.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The password file that nginx reads, run/htpasswd: who was given on the command line, and
 * auth/htpasswd. Its existence is what makes nginx ask for passwords: it is there when anybody was
 * given, or auth/htpasswd is there, even with nobody in it. */

struct htpasswd_state {
    bool closed;  /* passwords are asked for */
    size_t users; /* how many have one */
};

/* The most that auth/htpasswd may have, and that the given users may add up to. */
#define HTPASSWD_MAX (4u * 1024 * 1024)

/* Records keep who did something. */
#define HTPASSWD_NAME_MAX RECORD_ACTOR_MAX
/* What libcrypt takes. */
#define HTPASSWD_PASSWORD_MAX 511

#define HTPASSWD_OURS "auth/htpasswd" /* kept; the administrator's */
#define HTPASSWD_RUN "run/htpasswd"   /* made of it, for nginx */

/* Can it be a user's name, or a password? No name is empty, longer than HTPASSWD_NAME_MAX, begins
 * with #, or has a colon. Neither has control characters. Else ERR_BAD_REQUEST, and err doesn't
 * hold the password. */
int htpasswd_check_name(struct bytes name, struct err *err);
int htpasswd_check_password(struct bytes password, struct err *err);

#define HTPASSWD_SALT_BYTES 16

/* Appends "NAME:HASH\n" to lines: SHA-256-crypt with the fewest rounds, since nginx computes it in
 * its event loop at each request. Both have passed the checks above. salt: HTPASSWD_SALT_BYTES that
 * nobody can guess; the same for a name gives the same line for the same password. */
int htpasswd_add(struct buf *lines, const char *name, const char *password, const uint8_t *salt,
                 struct err *err);

/* Writes run/htpasswd from the given lines (of htpasswd_add) and auth/htpasswd, or removes it when
 * there are neither. Who is in both has the given password. Lines that aren't NAME:HASH, or whose
 * name is too long, are left out, with a warning. After a failure the file and *state are as they
 * were. */
int htpasswd_install(int dirfd, struct bytes given, struct htpasswd_state *state, struct err *err);

/* ---- editing: file is the text of auth/htpasswd ---- */

/* The next line of *rest that names a user whom nginx lets in with the right password, without its
 * end, and the name in it; false when there is none. */
bool htpasswd_next(struct bytes *rest, struct bytes *line, struct bytes *name);

/* The line that gives this name its password, without its end; {NULL, 0} when there is none. */
struct bytes htpasswd_find(struct bytes file, struct bytes name);

/* Appends to out the file with this name's line, "NAME:HASH\n", in place of its first one, or
 * behind all when there is none; without further lines of that name, and otherwise byte for byte as
 * it was.
 */
void htpasswd_put(struct bytes file, struct bytes name, struct bytes line, struct buf *out);

/* Appends to out the file without the lines of that name, also those that let nobody in. 1 there
 * was one, 0 there was none. */
int htpasswd_remove(struct bytes file, struct bytes name, struct buf *out);

#endif
