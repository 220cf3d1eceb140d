#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "process/commands/password.h"
#include "process/commands/user_file.h"
#include "util/buf.h"
#include "util/err.h"

/* The commands user add, passwd and del change the file, and then wait for a running server to see
 * it. */

struct user_change {
    const char *name;
    bool must_exist;                  /* passwd */
    bool robot;                       /* --robot */
    bool expiry_given;                /* --expires */
    uint64_t expiry_s;                /* seconds since 1970; 0: never */
    struct buf line;                  /* of a user who is no robot, with the new password */
    char secret[PASSWORD_SECRET_MAX]; /* to be printed; "": the user knows the password */
};

/* Adds the user, or gives the user another password. Prints the secret, if there is one. A robot
 * can't become a user with a password, and a user can't become a robot. A robot keeps its expiry if
 * must_exist and not expiry_given. */
int user_change_put(const struct user_file *f, struct user_change *c, struct err *err);

int user_change_del(const struct user_file *f, const char *name, struct err *err);
