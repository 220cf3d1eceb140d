#pragma once

#include "process/commands/command.h"

/* Where an export goes, with the rights of whoever wants it: to a file, as a tar; or into a
 * directory, if the path is one, or ends with a slash. The file is written under another name
 * (PATH.XXXXXX), flushed, and renamed; a directory has to be empty, or is made, and gets its
 * index.json last. Whatever goes wrong, a signal included, what was written is removed. What is
 * neither file nor directory (a pipe) is written to as it is. */

/* write: puts a tar on stdout; it runs in a process of its own, which may change whatever it likes.
 * What it says is what is returned. */
enum command_exit export_target_run(const char *path,
                                    enum command_exit (*write)(void *arg, struct err *err),
                                    void *arg, struct err *err);
