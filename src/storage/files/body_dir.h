#ifndef STORAGE_FILES_BODY_DIR_H
#define STORAGE_FILES_BODY_DIR_H

#include "util/err.h"

/* uploads/body/, into which nginx puts the bodies of uploads. They are taken over by link, so it
 * has to be ours, and on one file system with what is made of them. An nginx that isn't our child
 * can break the first: started as root, it gives the directory to the user of its workers. root is
 * the data directory's descriptor. */

/* 0: uploads can be taken over, as far as can be seen without one. -1: err says what is in the way,
 * and what to do. Cheap: looks, and writes nothing. */
int body_dir_check(int root, struct err *err);

/* A body that can't be opened or linked (errno): err says what body_dir_check finds, or else what
 * errno tells. body_file: as nginx named it; path: where we looked. ENOENT is ERR_BUSY (the client
 * went, and nginx removed the file), unless nginx puts bodies elsewhere. Returns -1. */
int body_dir_explain(int root, const char *path, const char *body_file, struct err *err);

#endif
