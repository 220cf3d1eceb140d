#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include "process/options/options.h"
#include "util/buf.h"
#include "util/err.h"

/* The administrator's rules and groups: --access FILE or auth/access, and auth/groups. Together
 * with the users in run/htpasswd they become run/access (domain/access/access_file.h), which the
 * workers read. The master keeps the texts that were valid last: a user who is removed while the
 * file of rules has an error is gone nevertheless. */
struct access_source {
    int rules_dirfd; /* the file's name is relative to this directory */
    const char *rules_name;
    bool given;     /* by --access: the file must be there */
    bool has_rules; /* else there is no such file */
    struct buf rules, groups;
    struct stat rules_seen, groups_seen; /* the files as they were looked at last */
};

void access_source_init(struct access_source *a, const struct options *o, int startdir, int dirfd);
void access_source_free(struct access_source *a);

/* Reads and checks both files, and writes nothing. */
int access_source_check(const struct access_source *a, int dirfd, struct err *err);

/* Reads both files, checks them, and writes run/access below dirfd; or removes it, if there are
 * neither rules nor users. users: run/htpasswd exists. An error (the message names file and line)
 * leaves all as it was. */
int access_source_read(struct access_source *a, int dirfd, bool users, struct err *err);

/* Writes run/access anew, from the texts that were read last: after a change of users. */
int access_source_write(const struct access_source *a, int dirfd, bool users, struct err *err);

/* Has one of the files changed since they were looked at? Then this is the last look. A file that
 * was removed counts only when it is read again, so that an accident opens nothing. */
bool access_source_changed(struct access_source *a, int dirfd);
