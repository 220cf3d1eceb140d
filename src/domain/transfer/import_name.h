#pragma once

#include <stdbool.h>
#include "storage/tables/record.h"

/* What an image is called elsewhere, and so here. */
struct import_name {
    char repository[RECORD_REPOSITORY_MAX + 1];
    char tag[128 + 1]; /* "": none */
};

/* reference: as docker, podman and containerd write it: "docker.io/library/app:1",
 * "localhost/app:1", "app:1", "registry.example.com:5000/team/app", or a tag alone. A host in front
 * is dropped, and so is "library/" of docker's own; without a tag it is "latest". A tag alone
 * belongs to the repository `fallback`. False: it is no name that a repository can have. */
bool import_name_parse(struct import_name *n, const char *reference, const char *fallback);

/* text: as an export of ours has it (export_document.h): NAME:TAG or NAME, nothing to be added or
 * dropped. */
bool import_name_parse_own(struct import_name *n, const char *text);

/* A repository's name out of a file's: "My App.tar" is "my-app". False: nothing is left. */
bool import_name_of_file(char out[RECORD_REPOSITORY_MAX + 1], const char *file);
