#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "storage/tables/record.h"

/* The name of a repository that a client carries from one page of a list to the next, and may not
 * read: encrypted with a key derived from auth/token.key, always of the same length. */

#define SEALED_NAME_BYTES (16 + RECORD_REPOSITORY_MAX + 1 + 32)
#define SEALED_NAME_TEXT (2 * SEALED_NAME_BYTES + 1)

/* Writes hex digits. False: the crypto library failed. */
bool sealed_name_make(const struct registry *reg, const char *name, char out[SEALED_NAME_TEXT]);

/* False: the text was not made with a key that is still valid. */
bool sealed_name_open(const struct registry *reg, const char *text,
                      char name[RECORD_REPOSITORY_MAX + 1]);
