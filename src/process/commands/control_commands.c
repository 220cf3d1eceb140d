#include "process/commands/control_commands.h"
#include <string.h>
#include "process/commands/command_export.h"
#include "process/commands/command_hooks.h"
#include "process/commands/command_import.h"
#include "util/banned.h"

static const struct {
    const char *name;
    control_fn *run;
} commands[] = {
    {"export", command_export_work},
    {"hooks", command_hooks_work},
    {"import", command_import_work},
};

control_fn *
control_commands_find(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run;
    return NULL;
}
