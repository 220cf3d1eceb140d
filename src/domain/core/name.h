#pragma once

#include <stdbool.h>

/* OCI distribution-spec 1.1, "Pulling manifests": components of [a-z0-9]+ joined by one of
 * ".", "_", "__" or any number of "-"; components joined by "/"; 255 bytes at most. */
bool name_is_repository(const char *s);

/* [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
bool name_is_tag(const char *s);
