#pragma once

#include <stddef.h>
#include "util/buf.h"
#include "util/err.h"

/* The files of the web page (src/ui). They are looked for beside the program (ui/, in a build
 * tree), in ../share/docker-registry-server/ui from there, and where make install puts them.
 *
 * An nginx of our own doesn't run as root, and may be unable to enter that directory, so it gets
 * copies: run/ui/. */

#define UI_FILES_MAX 40

struct ui_files {
    size_t n;
    char names[UI_FILES_MAX][32];
    struct buf contents[UI_FILES_MAX];
    struct err why; /* ui_files_prepare has found none */
};

/* The directory, with a final slash, which the caller frees; NULL if there is none. */
char *ui_files_find(void);

/* Reads all of them into memory; other files in the directory are ignored. n is 0 if there is no
 * page, or if it can't be read; *err then says why. */
void ui_files_read(struct ui_files *u, struct err *err);
/* The same. Without a page everything else works, and ui_files_install logs why. */
void ui_files_prepare(struct ui_files *u);
/* Replaces run/ui/ of the data directory. */
int ui_files_install(const struct ui_files *u, int dirfd, struct err *err);
void ui_files_free(struct ui_files *u);
