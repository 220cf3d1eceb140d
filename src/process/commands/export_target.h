#pragma once

#include "process/commands/command.h"

/* Writes the output of an export with the rights of the caller: to a file, as a tar; or into a
 * directory, if the path is one or ends with a slash. The file is written under another name
 * (PATH.XXXXXX), flushed, and renamed. A directory must be empty or not exist, and gets its
 * index.json last. After any failure or signal, the partial output is removed. Anything else, such
 * as a pipe, is written to directly. */

/* write: prints a tar on stdout. It is called in a process of its own, whose state it may change.
 * Returns write's result. */
enum command_exit export_target_run(const char *path,
                                    enum command_exit (*write)(void *arg, struct err *err),
                                    void *arg, struct err *err);
