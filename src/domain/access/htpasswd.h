#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/access/password_hash.h"
#include "storage/tables/record.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The password file that nginx reads, run/htpasswd: the users given on the command line, and those
 * of auth/htpasswd. nginx asks for passwords if the file exists. It exists if a user was given, or
 * if auth/htpasswd exists, even an empty one. */

struct htpasswd_state {
    bool closed;            /* passwords are asked for */
    size_t users;           /* that have a password */
    size_t expired;         /* robots that are left out because they have expired */
    uint64_t next_expiry_s; /* when the next robot expires, in seconds since 1970; 0: none does */
};

/* The largest auth/htpasswd, in bytes, and the most that all given users may take. 100,000 users
 * need about 13 MB. */
#define HTPASSWD_MAX (64u * 1024 * 1024)

/* Bytes of a user name: records have room for that many. */
#define HTPASSWD_NAME_MAX RECORD_ACTOR_MAX
#define HTPASSWD_PASSWORD_MAX PASSWORD_HASH_PASSWORD_MAX

#define HTPASSWD_OURS "auth/htpasswd" /* the administrator's file */
#define HTPASSWD_RUN "run/htpasswd"   /* written from it at each start and change, for nginx */

/* Check a user name, or a password. A name must not be empty, begin with #, contain a colon, or be
 * longer than HTPASSWD_NAME_MAX. Names and passwords must not contain control characters. 0, or -1
 * and ERR_BAD_REQUEST; the message never contains the password. */
int htpasswd_check_name(struct bytes name, struct err *err);
int htpasswd_check_password(struct bytes password, struct err *err);

#define HTPASSWD_SALT_BYTES PASSWORD_HASH_SALT_BYTES

/* Appends "NAME:HASH\n" to lines, with a hash of password_hash_make. Name and password have passed
 * the checks above. The same salt, name and password give the same line. */
int htpasswd_add(struct buf *lines, const char *name, const char *password, const uint8_t *salt,
                 struct err *err);

/* Appends "NAME:HASH:robot\n", or "NAME:HASH:robot,expires=SECONDS\n" unless expiry_s is 0, with a
 * hash of password_hash_make_cheap. */
int htpasswd_add_robot(struct buf *lines, const char *name, const char *secret, const uint8_t *salt,
                       uint64_t expiry_s, struct err *err);

/* The fields of a line of htpasswd_next. */
struct htpasswd_user {
    struct bytes name, hash;
    bool robot;        /* the third field, which nginx ignores, begins with the word "robot" */
    uint64_t expiry_s; /* of a robot, in seconds since 1970; 0: never; 1 if it can't be read, so
                        * that it has expired */
};
void htpasswd_parse(struct htpasswd_user *u, struct bytes line);
bool htpasswd_has_expired(const struct htpasswd_user *u, uint64_t now_s);

/* Writes run/htpasswd from the given lines (of htpasswd_add) and auth/htpasswd, or removes it if
 * both are missing. For a user in both, the given line counts. Lines that aren't NAME:HASH, or
 * whose name is too long, are left out with a warning. Robots that have expired at now_s (seconds
 * since 1970) are left out, too, with all other lines of their names. After a failure the file and
 * *state are unchanged. */
int htpasswd_install(int dirfd, struct bytes given, uint64_t now_s, struct htpasswd_state *state,
                     struct err *err);

/* Removes robots that have expired by now from run/htpasswd, whatever has become of auth/htpasswd.
 * After a failure the file is unchanged, and *state too, except that next_expiry_s is some seconds
 * later. */
int htpasswd_expire(int dirfd, uint64_t now_s, struct htpasswd_state *state, struct err *err);

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
