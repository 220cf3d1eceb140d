#pragma once

#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* Does the file of that instance have the digest d? For large documents, of a few MiB at most: the
 * file is read and hashed, but not again within a minute if it isn't changed. 1; 0: it is damaged
 * or missing, and the log says so; -1. */
int document_file_check(const struct registry *reg, const struct digest *d, uint64_t instance,
                        struct err *err);

/* Tells the log. */
void document_file_tell_damage(const struct digest *d, const char *why);
