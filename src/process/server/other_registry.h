#pragma once

#include "util/err.h"

/* The name of another registry whose files these are, in a directory that has something of this
 * name; NULL: unknown. */
const char *other_registry_name(int dirfd, const char *name);

/* 0; -1 if the directory is a backup: what is changed in one is changed in others, too, which share
 * the files. name: of the directory. */
int other_registry_backup(int dirfd, const char *name, struct err *err);
