#include "protocol/routes.h"
#include "domain/metrics/metrics.h"
#include "protocol/http/health.h"
#include "protocol/http/status.h"
#include "protocol/v1/v1_base.h"
#include "protocol/v1/v1_browse.h"
#include "protocol/v1/v1_events.h"
#include "protocol/v1/v1_images.h"
#include "protocol/v1/v1_repositories.h"
#include "protocol/v1/v1_search.h"
#include "protocol/v1/v1_tags.h"
#include "protocol/v1/v1_users.h"
#include "protocol/v2/v2_base.h"
#include "protocol/v2/v2_blob.h"
#include "protocol/inside/v2_browse.h"
#include "protocol/inside/v2_browse_archive.h"
#include "protocol/inside/v2_browse_diff.h"
#include "protocol/inside/v2_browse_find.h"
#include "protocol/inside/v2_browse_hidden.h"
#include "protocol/inside/v2_browse_packages.h"
#include "protocol/inside/v2_find.h"
#include "protocol/v2/v2_catalog.h"
#include "protocol/v2/v2_hooks.h"
#include "protocol/v2/v2_manifest.h"
#include "protocol/v2/v2_me.h"
#include "protocol/v2/v2_referrers.h"
#include "protocol/v2/v2_storage.h"
#include "protocol/v2/v2_tag_page.h"
#include "protocol/v2/v2_tags.h"
#include "protocol/v2/v2_token.h"
#include "protocol/v2/v2_upload.h"

#define READ (HTTP_GET | HTTP_HEAD)

/* clang-format off */
static const struct route route_rows[] = {
    /* methods     path                                     right         pool       handler */
    {READ,         "/",                                     VERB_PUBLIC, POOL_API,  health_root},
    {READ,         "/healthz",                              VERB_PUBLIC, POOL_API,  health_check},
    {READ,         "/readyz",                               VERB_PUBLIC, POOL_STATUS, status_ready},
    {READ,         "/metrics",                              VERB_PUBLIC, POOL_STATUS, status_metrics},

    {READ,         "/v2/",                                  VERB_LOGIN,  POOL_API,  v2_base},
    {READ,         "/v2",                                   VERB_LOGIN,  POOL_API,  v2_base},
    {HTTP_GET | HTTP_POST, "/v2/_token",                    VERB_PUBLIC, POOL_API,  v2_token},
    {READ,         "/v2/_me",                               VERB_LOGIN,  POOL_API,  v2_me},
    {READ,         "/v2/_catalog",                          VERB_LIST,   POOL_LIST, v2_catalog_list},
    {READ,         "/v2/_repositories",                     VERB_LIST,   POOL_LIST, v2_catalog_repositories},
    {READ,         "/v2/_find",                             VERB_LIST,   POOL_BROWSE, v2_find},
    {READ,         "/v2/_storage",                          VERB_LIST,   POOL_LIST, v2_storage},
    {READ,         "/v2/_hooks",                            VERB_LIST,   POOL_LIST, v2_hooks},
    {HTTP_POST,    "/v2/{name}/blobs/uploads/?mount",       VERB_PUSH,   POOL_API,  v2_upload_mount},
    {HTTP_POST,    "/v2/{name}/blobs/uploads/?digest",      VERB_PUSH,   POOL_BULK, v2_upload_whole},
    {HTTP_POST,    "/v2/{name}/blobs/uploads/",             VERB_PUSH,   POOL_API,  v2_upload_begin},
    {HTTP_POST,    "/v2/{name}/blobs/uploads?mount",        VERB_PUSH,   POOL_API,  v2_upload_mount},
    {HTTP_POST,    "/v2/{name}/blobs/uploads?digest",       VERB_PUSH,   POOL_BULK, v2_upload_whole},
    {HTTP_POST,    "/v2/{name}/blobs/uploads",              VERB_PUSH,   POOL_API,  v2_upload_begin},
    {HTTP_PATCH,   "/v2/{name}/blobs/uploads/{upload}",     VERB_PUSH,   POOL_BULK, v2_upload_patch},
    {HTTP_PUT,     "/v2/{name}/blobs/uploads/{upload}",     VERB_PUSH,   POOL_BULK, v2_upload_put},
    {READ,         "/v2/{name}/blobs/uploads/{upload}",     VERB_PUSH,   POOL_API,  v2_upload_status},
    {HTTP_DELETE,  "/v2/{name}/blobs/uploads/{upload}",     VERB_PUSH,   POOL_API,  v2_upload_cancel},
    {READ,         "/v2/{name}/blobs/{digest}",             VERB_PULL,   POOL_API,  v2_blob_get},
    {HTTP_DELETE,  "/v2/{name}/blobs/{digest}",             VERB_DELETE, POOL_API,  v2_blob_delete},
    {READ,         "/v2/{name}/manifests/{reference}",      VERB_PULL,   POOL_API,  v2_manifest_get},
    {HTTP_PUT,     "/v2/{name}/manifests/{reference}",      VERB_PUSH,   POOL_GATE, v2_manifest_put},
    {HTTP_DELETE,  "/v2/{name}/manifests/{reference}",      VERB_DELETE, POOL_GATE, v2_manifest_delete},
    {READ,         "/v2/{name}/referrers/{digest}",         VERB_PULL,   POOL_LIST, v2_referrers_list},
    {READ,         "/v2/{name}/tags/list",                  VERB_PULL,   POOL_LIST, v2_tags_list},
    {READ,         "/v2/{name}/_tags",                      VERB_PULL,   POOL_LIST, v2_tag_page},
    {READ,         "/v2/{name}/_tags/{tag}/history",        VERB_PULL,   POOL_LIST, v2_tags_history},
    {READ,         "/v2/{name}/_image/{reference}/tree/...", VERB_PULL,  POOL_BROWSE, v2_browse_tree},
    {READ,         "/v2/{name}/_image/{reference}/blobs/...", VERB_PULL, POOL_BROWSE, v2_browse_blob},
    {READ,         "/v2/{name}/_image/{reference}/stat/...", VERB_PULL,  POOL_BROWSE, v2_browse_stat},
    {READ,         "/v2/{name}/_image/{reference}/history", VERB_PULL,   POOL_BROWSE, v2_browse_history},
    {READ,         "/v2/{name}/_image/{reference}/layers/{n}/tree/...", VERB_PULL, POOL_BROWSE, v2_browse_layer},
    {READ,         "/v2/{name}/_image/{reference}/layers/{n}/hidden", VERB_PULL, POOL_BROWSE, v2_browse_hidden},
    {READ,         "/v2/{name}/_image/{reference}/archive/...", VERB_PULL, POOL_BROWSE, v2_browse_archive},
    {READ,         "/v2/{name}/_image/{reference}/diff",    VERB_PULL,   POOL_BROWSE, v2_browse_diff},
    {READ,         "/v2/{name}/_image/{reference}/packages", VERB_PULL,  POOL_BROWSE, v2_browse_packages},
    {READ,         "/v2/{name}/_image/{reference}/find",    VERB_PULL,   POOL_BROWSE, v2_browse_find},

    {READ,         "/_ping",                                VERB_PUBLIC, POOL_API,  v1_base_ping},
    {READ,         "/v1/_ping",                             VERB_PUBLIC, POOL_API,  v1_base_ping},
    {READ,         "/v1/images/{id}/json",                  VERB_PULL,   POOL_API,  v1_images_get_json},
    {HTTP_PUT,     "/v1/images/{id}/json",                  VERB_PUSH,   POOL_API,  v1_images_put_json},
    {READ,         "/v1/images/{id}/layer",                 VERB_PULL,   POOL_API,  v1_images_get_layer},
    {HTTP_PUT,     "/v1/images/{id}/layer",                 VERB_PUSH,   POOL_BULK, v1_images_put_layer},
    {HTTP_PUT,     "/v1/images/{id}/checksum",              VERB_PUSH, POOL_BROWSE, v1_images_put_checksum},
    {READ,         "/v1/images/{id}/ancestry",              VERB_PULL,   POOL_API,  v1_images_get_ancestry},
    {READ,         "/v1/images/{id}/tree/...",              VERB_PULL,   POOL_BROWSE, v1_browse_tree},
    {READ,         "/v1/images/{id}/blobs/...",             VERB_PULL,   POOL_BROWSE, v1_browse_blob},
    {READ,         "/v1/repositories",                      VERB_LIST,   POOL_LIST, v1_repositories_list},
    {READ,         "/v1/repositories/{name}/tags/{tag}",    VERB_PULL,   POOL_API,  v1_tags_get},
    {HTTP_PUT,     "/v1/repositories/{name}/tags/{tag}",    VERB_PUSH,   POOL_GATE, v1_tags_put},
    {HTTP_DELETE,  "/v1/repositories/{name}/tags/{tag}",    VERB_DELETE, POOL_GATE, v1_tags_delete},
    {READ,         "/v1/repositories/{name}/tags",          VERB_PULL,   POOL_LIST, v1_tags_list},
    {HTTP_DELETE,  "/v1/repositories/{name}/tags",          VERB_DELETE, POOL_GATE, v1_repositories_delete},
    {READ,         "/v1/repositories/{name}/images",        VERB_PULL,   POOL_LIST, v1_repositories_images},
    {HTTP_PUT,     "/v1/repositories/{name}/images",        VERB_PUSH,   POOL_GATE, v1_repositories_finish},
    {HTTP_DELETE,  "/v1/repositories/{name}/images",        VERB_DELETE, POOL_GATE, v1_repositories_unlist},
    {HTTP_PUT,     "/v1/repositories/{name}/auth",          VERB_PUSH,   POOL_GATE, v1_repositories_auth},
    {HTTP_PUT,     "/v1/repositories/{name}",               VERB_PUSH,   POOL_GATE, v1_repositories_begin},
    {HTTP_DELETE,  "/v1/repositories/{name}",               VERB_DELETE, POOL_GATE, v1_repositories_delete},
    {READ,         "/v1/search",                            VERB_LIST,   POOL_LIST, v1_search},
    {READ,         "/v1/events",                            VERB_LIST,   POOL_API,  v1_events},
    {READ,         "/v1/users",                             VERB_LOGIN,  POOL_API,  v1_users_get},
    {HTTP_POST,    "/v1/users",                             VERB_LOGIN,  POOL_API,  v1_users_post},
    {HTTP_PUT,     "/v1/users/{user}",                      VERB_LOGIN,  POOL_API,  v1_users_put},
};
/* clang-format on */

_Static_assert(sizeof route_rows / sizeof route_rows[0] <= METRICS_ROUTES_MAX, "see metrics.h");

const struct route_table routes = {route_rows, sizeof route_rows / sizeof route_rows[0]};
