#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* The command import PATH [--prefix NS] [--listing FILE]: imports the images of another registry,
 * of an OCI layout, or of an archive (domain/transfer/import.h). */
enum command_exit command_import(struct options *o, struct err *err);

/* The part that needs the database. args: "import", the last part of PATH, the prefix or "";
 * descriptor 0 is the socket of import_helper.h. */
enum command_exit command_import_work(struct control *c, struct err *err);
