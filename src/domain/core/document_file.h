#pragma once

#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* Is the file of that instance what the digest says? For large documents, of a few MiB at most: it
 * is read and hashed, but not again within a minute while nobody changes it. 1; 0: it is damaged or
 * missing, which the log says; -1. */
int document_file_check(const struct registry *reg, const struct digest *d, uint64_t instance,
                        struct err *err);

/* Tells the log. */
void document_file_tell_damage(const struct digest *d, const char *why);
