#pragma once

#include <stdbool.h>
#include "domain/transfer/export_plan.h"
#include "util/buf.h"

/* The documents beside the blobs, of a plan that is sorted. */

/* The member of "annotations" that says it as it is: NAME:TAG of this registry, or NAME alone. */
#define EXPORT_DOCUMENT_NAME "docker-registry-server.name"

/* index.json, an OCI index: the tags in the order of their names, and behind them the manifests
 * that nothing else names. Its annotations:
 *
 *   org.opencontainers.image.ref.name    TAG; NAME:TAG when there are several repositories, since
 *                                        skopeo and umoci choose by it alone
 *   io.containerd.image.name             the full name as docker would complete it, by which
 *                                        containerd and podman call what they load
 *   docker-registry-server.name          NAME:TAG, or NAME of what has no tag
 */
void export_document_index(const struct export_plan *p, struct buf *out);

/* manifest.json, as "docker save" writes it: engines with the classic store, and skopeo's
 * docker-archive, go by it. It has the tags that are images whose layers are all here. Nothing is
 * appended if there are none. 0, -1: as export_plan_complete. */
int export_document_docker(const struct export_plan *p, struct buf *out, bool (*is_over)(void *arg),
                           void *arg, struct err *err);

/* The name as docker would complete it: "app" is "docker.io/library/app", unless the first of
 * several parts is a host. */
void export_document_full_name(struct buf *out, const char *repository);
