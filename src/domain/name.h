#pragma once

#include <stdbool.h>
#include "storage/tables/record.h"

/* OCI distribution-spec 1.1, "Pulling manifests": components of [a-z0-9]+ joined by one of
 * ".", "_", "__" or any number of "-"; components joined by "/"; 255 bytes at most. */
bool name_is_repository(const char *s);

/* [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
bool name_is_tag(const char *s);

/* Splits NAME:TAG or NAME, n bytes, into a repository and a tag, "" without one. Returns false if
 * one of them is no such name. */
bool name_split(const char *text, size_t n, char repository[RECORD_REPOSITORY_MAX + 1],
                char tag[RECORD_TAG_MAX + 1]);

/* The namespace of names without one, for clients of the first API. */
#define NAME_LIBRARY "library/"

/* The name without NAME_LIBRARY; the name itself if it is in another namespace. */
const char *name_short(const char *repository);
