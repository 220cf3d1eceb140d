#pragma once

/* The name of another registry whose files these are, in a directory that has something of this
 * name; NULL: unknown. */
const char *other_registry_name(int dirfd, const char *name);
