#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "storage/files/blob_file.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The last part of a path below manifests/: a tag, or a digest. */
struct reference {
    const char *tag; /* NULL: by digest */
    struct digest digest;
};

struct pulled {
    uint64_t repo;
    struct digest digest; /* after ERR_NOT_CONVERTED: the id of the v1 image */
    char media_type[RECORD_TYPE_MAX + 1];
    uint64_t size;
    /* If the document was asked for: its bytes in the arena, or for a large one its path below
     * layers/. */
    struct bytes document;
    char path[BLOB_FILE_PATH_MAX];
};

/* The most bytes of documents that a request may read where requests have to be short. Parsing a
 * document of 1 MiB takes 20 ms, and its length is up to its pusher. reg->may_read begins with this
 * number in each request. The functions below fail with ERR_LONG instead of reading more, and a
 * process without the bound then does the whole request again. So a change that a request makes
 * before it reads a document must be one that can be made twice. */
#define PULL_SHORT (64u << 10)

/* 0, or -1: ERR_NO_REPOSITORY, ERR_NO_MANIFEST, ERR_DAMAGED_MANIFEST, ERR_NOT_CONVERTED,
 * ERR_UNCONVERTIBLE, ERR_CORRUPT: the document was asked for, and has another digest. */
int pull_manifest(const struct registry *reg, const char *repository,
                  const struct reference *reference, bool want_document, struct arena *arena,
                  struct pulled *out, struct err *err);

/* Reads the bytes of the manifest of that digest and size into the arena. 1; 0: it is gone, or its
 * file is lost, too short or has another digest, which the log says: lists of many manifests then
 * do without it; -1. */
int pull_document(const struct registry *reg, const struct digest *d, uint64_t size,
                  struct arena *arena, struct bytes *document, struct err *err);

/* Reads a small document (tbl_content.h) into the arena: 1, 0 (there is none), -1. ERR_CORRUPT: its
 * bytes have another digest. */
int pull_content(const struct registry *reg, const struct digest *d, struct arena *arena,
                 struct bytes *document, struct err *err);

/* Reads a whole blob into the arena. 1; 0: it isn't in the store, or has more than max bytes, or
 * its file is lost or too short, which the log says; -1. */
int pull_blob(const struct registry *reg, const struct digest *d, uint64_t max, struct arena *arena,
              struct bytes *out, struct err *err);
