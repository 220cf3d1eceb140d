#pragma once

#include <stdbool.h>
#include "domain/transfer/export_plan.h"
#include "util/buf.h"

/* The documents beside the blobs. Plans must be sorted. */

/* The annotation with the exact name in this registry: NAME:TAG, or NAME. */
#define EXPORT_DOCUMENT_NAME "docker-registry-server.name"

/* Appends index.json, an OCI index: the tags in the order of their names, then the manifests that
 * nothing else names. Annotations:
 *
 *   org.opencontainers.image.ref.name    TAG; NAME:TAG if there are several repositories, because
 *                                        skopeo and umoci use only this
 *   io.containerd.image.name             the full name, completed as docker does it; containerd
 *                                        and podman use it for the image that they load
 *   docker-registry-server.name          NAME:TAG, or NAME of a manifest without a tag
 */
void export_document_index(const struct export_plan *p, struct buf *out);

/* Appends manifest.json, as "docker save" writes it, for engines with the classic store and
 * skopeo's docker-archive. It lists the tags of images that have all their layers in the plan.
 * Appends nothing if there are none. 0, -1: as export_plan_complete. */
int export_document_docker(const struct export_plan *p, struct buf *out, bool (*is_over)(void *arg),
                           void *arg, struct err *err);

/* Appends the name as docker completes it: "app" becomes "docker.io/library/app", and a name whose
 * first of several parts is a host remains. */
void export_document_full_name(struct buf *out, const char *repository);
