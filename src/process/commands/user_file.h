#pragma once

#include <stdbool.h>
#include "process/server/datadir.h"
#include "process/server/privileges.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The file auth/htpasswd for the commands user, which run as the registry's user, beside a server
 * or without one. */
struct user_file {
    struct privileges who;
    struct datadir dir;
    bool there; /* auth/ is */
};

/* The error for a name that has no line. Returns -1. */
int user_file_no_user(const struct user_file *f, const char *name, struct err *err);

/* A change of the file. Meanwhile no other command can change it. */
struct user_edit {
    int lock;
    struct buf text; /* of the file before */
};

/* Begins a change. The caller releases it with user_file_free, also after a failure. */
int user_file_begin(const struct user_file *f, struct user_edit *e, struct err *err);
/* Writes the file with that line ("NAME:HASH\n") for the user, or without the user if the line is
 * empty. 1 done, 0 there is no such user to remove, -1. *nobody: no user is left. */
int user_file_write(const struct user_file *f, const struct user_edit *e, const char *name,
                    struct bytes line, bool *nobody, struct err *err);
/* Ends the change: other commands may begin theirs. */
void user_file_end(struct user_edit *e);
/* Waits until a running server uses the user's line that was written, or prints a warning. */
void user_file_await(const struct user_file *f, const struct user_edit *e, const char *name);
void user_file_free(struct user_edit *e);
