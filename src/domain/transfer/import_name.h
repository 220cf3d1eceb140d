#pragma once

#include <stdbool.h>
#include "storage/tables/record.h"

/* The name that an image gets, made from its name elsewhere. */
struct import_name {
    char repository[RECORD_REPOSITORY_MAX + 1];
    char tag[RECORD_TAG_MAX + 1]; /* "": none */
};

/* Parses a reference as docker, podman and containerd write it: "docker.io/library/app:1",
 * "localhost/app:1", "app:1", "registry.example.com:5000/team/app", or a tag alone. The host is
 * dropped, and docker's "library/" too. The default tag is "latest". A tag alone belongs to the
 * repository `fallback`. Returns false if a repository can't have this name. */
bool import_name_parse(struct import_name *n, const char *reference, const char *fallback);

/* Parses NAME:TAG or NAME, as our own exports have it (export_document.h). */
bool import_name_parse_own(struct import_name *n, const char *text);

/* Makes the name of a repository from a file's name: "My App.tar" becomes "my-app". Returns false
 * if no character is left. */
bool import_name_of_file(char out[RECORD_REPOSITORY_MAX + 1], const char *file);
