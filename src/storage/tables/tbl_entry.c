#include "storage/tables/tbl_entry.h"

const struct record *
tbl_entry_record(enum table table)
{
    switch (table) {
    case TABLE_META:
        return &record_meta;
    case TABLE_REPO:
        return &record_repo;
    case TABLE_REPO_NAME:
        return &record_repo_name;
    case TABLE_UPLOAD:
        return &record_upload;
    case TABLE_TAG:
        return &record_tag;
    case TABLE_TALLY:
        return &record_tally;
    case TABLE_TAG_LOG:
        return &record_tag_log;
    case TABLE_IMAGE:
        return &record_image;
    case TABLE_MANIFEST:
        return &record_manifest;
    case TABLE_TRASH:
        return &record_trash;
    case TABLE_BLOB:
        return &record_blob;
    case TABLE_DAMAGE:
        return &record_damage;
    case TABLE_EDGE:
        return &record_edge;
    case TABLE_JOB:
        return &record_job;
    case TABLE_QUOTA:
        return &record_quota;
    case TABLE_PULL:
        return &record_pull;
    case TABLE_HOOK:
        return &record_hook;
    case TABLE_EVENT:
        return &record_event;
    case TABLE_CONTENT:
    case TABLE_COUNT:
        break;
    }
    return NULL;
}

int
tbl_entry_drop(struct txn *t, enum table table, struct bytes key, struct err *err)
{
    return kv_drop(t, table, key, err);
}

int
tbl_entry_put(struct txn *t, enum table table, struct bytes key, struct bytes val, struct err *err)
{
    return tables[table].kind == KV_QUEUE ? kv_place(t, table, key, val, err)
                                          : kv_put(t, table, key, val, err);
}
