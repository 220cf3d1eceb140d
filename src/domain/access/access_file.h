#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include "domain/access/access_table.h"
#include "util/err.h"

/* run/access as this process sees it. The master compiles users, groups and rules into it
 * (access_table.h), and replaces it as a whole when one of them changes. Here it is mapped, so that
 * a change costs a request no more than opening a file. */

#define ACCESS_FILE_NAME "run/access"

struct access_file {
    bool is_there;  /* the registry has users or rules */
    bool is_closed; /* set by access_look: rights are asked for */
    bool is_usable; /* the table can be asked */
    struct access_table table;
    struct stat seen; /* the file that is mapped */
    void *map;
    size_t map_n;
};

/* Maps the file below dirfd, unless it is mapped already. Call it at the start of each request. A
 * file that can't be read is logged, and isn't usable. All zero at first. */
void access_file_look(struct access_file *f, int dirfd);

/* Compiles the sources, and replaces the file. ERR_BAD_REQUEST as access_table_compile; the file
 * stays as it was. */
int access_file_write(int dirfd, const struct access_sources *sources, struct err *err);

/* Removes the file: the registry then has neither users nor rules. */
int access_file_remove(int dirfd, struct err *err);
