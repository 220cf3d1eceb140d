#include "domain/check/check_table.h"
#include "domain/check/check_blobs.h"
#include "domain/check/check_edges.h"
#include "domain/check/check_history.h"
#include "domain/check/check_images.h"
#include "domain/check/check_kept.h"
#include "domain/check/check_manifests.h"
#include "domain/check/check_pull.h"
#include "domain/check/check_quota.h"
#include "domain/check/check_repo.h"
#include "domain/check/check_tag.h"
#include "domain/check/check_tally.h"

/* THE TABLE: what must be true of each record, and what a repair does. The kinds stand in
 * docker-registry-server-fsck(8), too; tests/lint/fsck.t compares the two. */

#define EDGE(kind) (1u << (kind))
#define IDS (EDGE(EDGE_ID) | EDGE(EDGE_ID_OWN) | EDGE(EDGE_ID_PROVEN) | EDGE(EDGE_ID_UNSURE))

/* A manifest that is deleted leaves its tags, edges, document and counts to the rules about those.
 */
/* clang-format off */
const struct check_rule check_table[] = {
    /* ---- repositories ---- */
    {"repo-name", TABLE_REPO, 0,
     "its number leads to its name", "the name is noted", false,
     check_repo_has_name, check_repo_put_name},
    {"repo-number", TABLE_REPO, 0,
     "its number isn't given to another repository", "the next number is corrected", false,
     check_repo_id_is_taken, check_repo_take_id},
    {"repo-count", TABLE_REPO, 0,
     "it is counted, unless it is empty", "all are counted", false,
     check_tally_has_repo, check_tally_correct},
    {"name-without-repo", TABLE_REPO_NAME, 0,
     "a name belongs to a repository with that number", "the name is deleted", false,
     check_repo_of_name, check_repo_drop_entry},

    /* ---- images of the first API ---- */
    {"image-json", TABLE_IMAGE, 0,
     "its JSON is there", NULL, false,
     check_image_has_json, NULL},
    {"image-parent", TABLE_IMAGE, 0,
     "its parent is there", NULL, false,
     check_image_has_parent, NULL},
    {"image-layer", TABLE_IMAGE, 0,
     "its layer is there", "it waits for its layer again", false,
     check_image_has_layer, check_image_open},
    {"image-edge", TABLE_IMAGE, 0,
     "edges tell that it keeps layer and parent", "the edges are added", false,
     check_image_has_edges, check_image_put_edges},
    {CHECK_KEPT_KIND, TABLE_IMAGE, 0,
     "something keeps it, or a job looks at it when its lease is over", "the job is added", false,
     check_kept_note, NULL},

    /* ---- manifests ---- */
    {"manifest-repo", TABLE_MANIFEST, 0,
     "its repository is there", "the manifest is deleted", false,
     check_repo_of_entry, check_repo_drop_entry},
    {"manifest-document", TABLE_MANIFEST, 0,
     "its document is there, with its size and digest", "the manifest is deleted, and its tags", false,
     check_manifest_has_document, check_repo_drop_entry},
    {"manifest-edge", TABLE_MANIFEST, 0,
     "edges tell that the repository has it, and what it keeps", "the edges are added", false,
     check_manifest_has_edges, check_manifest_put_edges},
    {"manifest-part", TABLE_MANIFEST, 0,
     "config and layers are there, or wait to be pushed again", "the part waits to be pushed again", false,
     check_manifest_has_parts, check_manifest_await_parts},
    {"manifest-right", TABLE_MANIFEST, 0,
     "the repository may serve config and layers", "the right is added", false,
     check_manifest_may_serve, check_manifest_give_rights},
    {"manifest-image", TABLE_MANIFEST, 0,
     "the image of the first API that it was made of is there", NULL, false,
     check_manifest_has_image, NULL},
    {"quota-mark", TABLE_MANIFEST, 0,
     "quotas count it, with its config and layers", "it is counted", false,
     check_quota_counts, check_quota_count},
    {"index-missing", TABLE_MANIFEST, 0,
     "layers that were indexed have an index", "the index is made", true,
     check_manifest_has_indexes, check_manifest_ask_indexes},

    /* ---- deleted manifests that can come back ---- */
    {"trash-document", TABLE_TRASH, 0,
     "its document is there, with its size and digest", "it can't come back any more", false,
     check_manifest_has_document, check_repo_drop_entry},
    {"trash-edge", TABLE_TRASH, 0,
     "edges tell what it keeps", "the edges are added", false,
     check_manifest_has_edges, check_manifest_put_edges},
    {CHECK_HISTORY_KIND, TABLE_TRASH, 0,
     "a job looks at it when its time is over", "the job is added", false,
     check_history_note, NULL},

    /* ---- documents ---- */
    {"document-unused", TABLE_CONTENT, 0,
     "a manifest or an image has it", "it is deleted", false,
     check_manifest_has_text, check_repo_drop_entry},

    /* ---- tags ---- */
    {"tag-repo", TABLE_TAG, 0,
     "its repository is there", "the tag is deleted", false,
     check_repo_of_entry, check_tag_drop},
    {"tag-target", TABLE_TAG, 0,
     "what it names is there", "the tag is deleted", false,
     check_tag_has_target, check_tag_drop},
    {"tag-edge", TABLE_TAG, 0,
     "an edge tells that it keeps its target", "the edge is added", false,
     check_tag_has_edge, check_tag_put_edge},
    {"tag-count", TABLE_TAG, 0,
     "it is counted", "the repository's tags are counted", false,
     check_tally_has_tag, check_tally_correct},
    {"history-repo", TABLE_TAG_LOG, 0,
     "its repository is there", "it is deleted", false,
     check_repo_of_entry, check_repo_drop_entry},

    /* ---- edges: what keeps what, and rights ---- */
    {"edge-kind", TABLE_EDGE, 0,
     "its kind is known", "it is deleted", false,
     check_edge_is_known, check_repo_drop_entry},
    {"edge-tag", TABLE_EDGE, EDGE(EDGE_TAG),
     "the tag names the target", "it is deleted", false,
     check_edge_has_tag, check_repo_drop_entry},
    {"edge-manifest", TABLE_EDGE,
     EDGE(EDGE_HELD) | EDGE(EDGE_CHILD) | EDGE(EDGE_PART) | EDGE(EDGE_SUBJECT) | IDS,
     "the repository has the manifest that it comes from", "it is deleted", false,
     check_edge_has_manifest, check_repo_drop_entry},
    {"edge-trash", TABLE_EDGE, EDGE(EDGE_TRASHED) | EDGE(EDGE_TRASH_PART),
     "the repository has the deleted manifest that it comes from", "it is deleted", false,
     check_edge_has_trash, check_repo_drop_entry},
    {"edge-part", TABLE_EDGE, EDGE(EDGE_CHILD) | EDGE(EDGE_PART) | EDGE(EDGE_SUBJECT),
     "that manifest names the target", "it is deleted", false,
     check_edge_is_named, check_repo_drop_entry},
    {"edge-image", TABLE_EDGE, EDGE(EDGE_IMAGE),
     "the target is layer or parent of the image", "it is deleted", false,
     check_edge_has_image, check_repo_drop_entry},
    {"edge-made", TABLE_EDGE, EDGE(EDGE_MADE),
     "a manifest was made of that image", "it is deleted", false,
     check_edge_was_made, check_repo_drop_entry},
    {CHECK_HISTORY_KIND, TABLE_EDGE, EDGE(EDGE_HISTORY),
     "a job ends what the history of a tag keeps", "the job is added", false,
     check_history_note, NULL},
    {"edge-counted", TABLE_EDGE, EDGE(EDGE_COUNTED),
     "what a quota counts is there", "it is deleted", false,
     check_quota_has_counted, check_repo_drop_entry},
    {"right-without-blob", TABLE_EDGE, EDGE(EDGE_MEMBER),
     "what the repository may serve is there", "the right is deleted", false,
     check_edge_has_blob, check_repo_drop_entry},

    /* ---- blobs ---- */
    {"blob-file", TABLE_BLOB, 0,
     "its file is there, with its size",
     "the blob goes into the quarantine, and a new push replaces it", true,
     check_blob_has_file, check_blob_withdraw},
    {CHECK_KEPT_KIND, TABLE_BLOB, 0,
     "something keeps it, or a job looks at it when its lease is over", "the job is added", false,
     check_kept_note, NULL},
    {"blob-damaged", TABLE_DAMAGE, 0,
     "the keeper has found no damage", "the blob is read again", false,
     check_blob_is_undamaged, check_repo_drop_entry},

    /* ---- what is counted ---- */
    {"upload-count", TABLE_UPLOAD, 0,
     "it is counted", "the uploads of its owner are counted", false,
     check_tally_has_upload, check_tally_correct},
    {"pull-target", TABLE_PULL, 0,
     "what was pulled is there", "it is deleted", false,
     check_pull_has_target, check_repo_drop_entry},
    {"quota-use", TABLE_QUOTA, 0,
     "it is the sum of what it counts", "it is corrected", true,
     check_quota_is_right, check_quota_correct},
    {"count", TABLE_TALLY, 0,
     "there are as many as it says", "it is corrected", false,
     check_tally_is_right, check_tally_correct},
};
/* clang-format on */

const size_t check_table_n = sizeof check_table / sizeof *check_table;

const enum table check_table_order[] = {
    TABLE_META,   TABLE_REPO,  TABLE_REPO_NAME, TABLE_IMAGE,   TABLE_MANIFEST,
    TABLE_TRASH,  TABLE_TAG,   TABLE_EDGE,      TABLE_CONTENT, TABLE_BLOB,
    TABLE_DAMAGE, TABLE_JOB,   TABLE_UPLOAD,    TABLE_TAG_LOG, TABLE_TALLY,
    TABLE_PULL,   TABLE_QUOTA, TABLE_HOOK,      TABLE_EVENT,
};
const size_t check_table_order_n = sizeof check_table_order / sizeof *check_table_order;

_Static_assert(sizeof check_table_order / sizeof *check_table_order == TABLE_COUNT,
               "a table isn't checked");
