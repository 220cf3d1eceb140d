#pragma once

#include "util/err.h"

/* uploads/body/, where nginx puts the bodies of uploads. They are taken over by link, so the
 * directory must belong to our user, and be on one file system with uploads/. An nginx
 * of the administrator that starts as root gives the directory to the user of its workers. root is
 * the data directory's descriptor. */

/* 0: uploads can be taken over, as far as that can be told without one. -1: err tells the obstacle,
 * and what to do. Cheap, and writes nothing. */
int body_dir_check(int root, struct err *err);
/* Can a body be linked into the directory `other`, below root? */
int body_dir_check_links(int root, const char *other, struct err *err);
/* Does nginx use this very directory? bodies: its name in nginx's configuration, absolute or
 * relative to root. A name that doesn't exist here is taken as good. 0 or -1. */
int body_dir_check_nginx(int root, const char *bodies, struct err *err);

/* A body can't be opened or linked (errno): fills err with the obstacle that body_dir_check finds,
 * or else with errno. body_file: as nginx named it; path: the name that was tried. ENOENT is
 * ERR_BUSY (the client disconnected, and nginx removed the file), unless nginx puts bodies
 * elsewhere. Returns -1. */
int body_dir_explain(int root, const char *path, const char *body_file, struct err *err);
