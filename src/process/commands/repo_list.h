#pragma once

#include "process/commands/command.h"
#include "process/commands/control.h"

/* The lists of the command "repo". json: as JSON. */

/* The repositories that a pattern matches (util/glob.h; "": all), with their tags and bytes. */
enum command_exit repo_list_names(struct control *c, const char *pattern, bool json,
                                  struct err *err);

/* The bytes of all repositories, the largest one first. */
enum command_exit repo_list_usage(struct control *c, bool json, struct err *err);

/* The bytes of one repository, by tags and by manifests without tags. */
enum command_exit repo_list_usage_of(struct control *c, const char *repository, bool json,
                                     struct err *err);
