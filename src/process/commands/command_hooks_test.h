#pragma once

#include "process/commands/control.h"

/* hooks test NAME REPO:TAG: runs the hook of that name by hand, with arguments and environment as
 * if it had just happened to that tag (without a tag: latest); what it says goes to stdout as it
 * is. A pre-hook gets the manifest, and refuses with its message. REGISTRY_EVENT_ID is "", since
 * there was no event; REGISTRY_ACTOR is who moved the tag last. COMMAND_FAILED when it fails. */
enum command_exit command_hooks_test(struct control *c, const char *name, const char *reference,
                                     struct err *err);
