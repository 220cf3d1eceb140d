#include "storage/tables/tables.h"

const struct kv_table tables[TABLE_COUNT] = {
    [TABLE_META] = {.name = "meta", .page_size = 4096},
    [TABLE_REPO] = {.name = "repo", .page_size = 4096},
    [TABLE_REPO_NAME] = {.name = "repo_name", .page_size = 4096, .is_later = true},
    [TABLE_UPLOAD] = {.name = "upload", .page_size = 4096},
    [TABLE_TAG] = {.name = "tag", .page_size = 4096},
    [TABLE_TALLY] = {.name = "tally", .page_size = 1024},
    [TABLE_TAG_LOG] = {.name = "tag_log", .page_size = 4096},
    [TABLE_IMAGE] = {.name = "image", .page_size = 4096},
    [TABLE_MANIFEST] = {.name = "manifest", .page_size = 4096},
    [TABLE_TRASH] = {.name = "trash", .page_size = 4096, .is_later = true},
    [TABLE_CONTENT] = {.name = "content", .page_size = 4096},
    [TABLE_BLOB] = {.name = "blob", .page_size = 4096},
    [TABLE_DAMAGE] = {.name = "damage", .page_size = 4096, .is_later = true},
    [TABLE_EDGE] = {.name = "edge", .page_size = 4096},
    [TABLE_QUOTA] = {.name = "quota", .page_size = 1024, .is_later = true},
    [TABLE_JOB] = {.name = "job", .page_size = 4096},
    [TABLE_PULL] = {.name = "pull", .page_size = 4096, .is_later = true},
    [TABLE_HOOK] = {.name = "hook", .page_size = 4096},
    [TABLE_EVENT] = {.name = "event", .kind = KV_QUEUE, .record_size = TABLES_EVENT_MAX},
};
