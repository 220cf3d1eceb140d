#include "domain/transfer/import_prune.h"
#include "domain/core/manifest.h"
#include "util/json.h"

/* 1, 0, -1: the whole has to stop. */
static int
has_blob(const struct import_source *source, const struct json *descriptor, struct err *err)
{
    const char *text = json_string(json_member(descriptor, "digest"));
    struct import_file file;
    struct digest d;
    int rc;

    if (json_length(json_member(descriptor, "urls")) > 0)
        return 1;
    if (text == NULL || digest_parse(&d, text, strlen(text), err) != 0)
        return 0;
    rc = source->blob(source->arg, &d, &file, err);
    import_files_shut(&file);
    if (rc < 0)
        return import_store_is_fatal(err) ? -1 : 0;
    return rc;
}

/* A list's, or one. */
static int
has_blobs(const struct import_source *source, const struct json *list, struct err *err)
{
    int rc = 1;

    for (size_t i = 0; rc == 1 && i < json_length(list); i++)
        rc = has_blob(source, json_item(list, i), err);
    return rc;
}

/* A nested index counts as complete if it exists: what it lacks is reported later. */
static int
child_is_whole(const struct import_source *source, const struct json *child, struct err *err)
{
    const char *text = json_string(json_member(child, "digest"));
    struct json *doc = NULL;
    struct buf document;
    struct digest d;
    int rc = has_blob(source, child, err);

    if (rc != 1 || text == NULL || digest_parse(&d, text, strlen(text), err) != 0)
        return rc;
    buf_init(&document, IMPORT_DOCUMENT_MAX);
    rc = source->document(source->arg, &d, &document, err);
    if (rc == 1 && json_parse(buf_bytes(&document), MANIFEST_DEPTH_MAX, &doc, err) == 0) {
        const struct json *config = json_member(doc, "config");

        if (config != NULL)
            rc = has_blob(source, config, err);
        if (rc == 1)
            rc = has_blobs(source, json_member(doc, "layers"), err);
        json_free(doc);
    } else if (rc < 0 && import_store_is_fatal(err)) {
        rc = -1;
    } else {
        rc = 1; /* a blob, or something that is reported later */
    }
    buf_free(&document);
    return rc;
}

static int
keep_whole_children(const struct import_source *source, const struct json *all, struct json *kept,
                    struct err *err)
{
    for (size_t i = 0; i < json_length(all); i++) {
        const struct json *child = json_item(all, i);
        int rc = child_is_whole(source, child, err);

        if (rc < 0)
            return -1;
        if (rc == 1)
            json_add(kept, json_copy(child));
    }
    return 0;
}

int
import_prune(const struct import_source *source, struct bytes document, struct buf *out,
             struct err *err)
{
    const struct json *all;
    struct json *doc, *kept, *made;
    int rc;

    if (json_parse(document, MANIFEST_DEPTH_MAX, &doc, err) != 0)
        return 0;
    all = json_member(doc, "manifests");
    kept = json_new_array();
    rc = json_type(all) == JSON_ARRAY ? keep_whole_children(source, all, kept, err) : 0;
    if (rc < 0 || json_length(kept) == 0 || json_length(kept) == json_length(all)) {
        json_free(kept);
    } else {
        made = json_copy(doc);
        json_set(made, "manifests", kept);
        buf_reset(out);
        json_put(made, out);
        rc = 1;
    }
    json_free(doc);
    return rc;
}
