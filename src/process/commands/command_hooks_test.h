#pragma once

#include "process/commands/control.h"

/* The command hooks test HOOK NAME[:TAG]: runs a hook with the arguments and environment of an
 * event of that tag (default: latest), and copies its output to stdout. A pre-hook gets the
 * manifest, and refuses with its message. REGISTRY_EVENT_ID is empty, because there was no event;
 * REGISTRY_ACTOR is the user who last moved the tag. COMMAND_FAILED if the hook fails. */
enum command_exit command_hooks_test(struct control *c, const char *name, const char *reference,
                                     struct err *err);
