#ifndef UTIL_DIGEST_H
#define UTIL_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"
#include "util/err.h"

/* Digests as OCI image-spec "descriptor.md#digests" has them: sha256:<64 hex>, sha512:<128 hex>,
 * lower case. DIGEST_V1_ID stands for the id of a v1 image (64 hex without a prefix): a name that a
 * client chose, not a hash, but it is pointed at and kept like one. The numbers are stored. */
enum digest_algo {
    DIGEST_NONE = 0,
    DIGEST_SHA256 = 1,
    DIGEST_SHA512 = 2,
    DIGEST_V1_ID = 3,
};

#define DIGEST_BYTES_MAX 64
#define DIGEST_TEXT_MAX (7 + 2 * DIGEST_BYTES_MAX + 1)

struct digest {
    enum digest_algo algo;
    uint8_t bytes[DIGEST_BYTES_MAX];
};

/* How many bytes a digest of that algorithm has; 0 for none or unknown. */
size_t digest_size(enum digest_algo algo);
/* "sha256", "sha512", "v1". */
const char *digest_algo_name(enum digest_algo algo);

/* From "sha256:…" or "sha512:…", all n bytes of it. 0, or -1 and ERR_BAD_DIGEST. */
int digest_parse(struct digest *d, const char *text, size_t n, struct err *err);
/* From the 64 hex digits of a v1 id. 0, or -1 and ERR_BAD_DIGEST. */
int digest_parse_v1_id(struct digest *d, const char *text, size_t n, struct err *err);
/* "sha256:…"; a v1 id without a prefix. */
void digest_text(char out[DIGEST_TEXT_MAX], const struct digest *d);
/* The hex digits alone. */
void digest_hex(char out[DIGEST_TEXT_MAX], const struct digest *d);

bool digest_equal(const struct digest *a, const struct digest *b);
/* By algorithm, then bytes: the order of the keys in storage. */
int digest_compare(const struct digest *a, const struct digest *b);

#define DIGEST_HMAC_BYTES 32

/* HMAC-SHA256 (RFC 2104). False: the library refuses. */
bool digest_hmac_sha256(uint8_t out[DIGEST_HMAC_BYTES], struct bytes key, struct bytes message);
/* In a time that tells nothing of where they differ. */
bool digest_secret_equal(struct bytes a, struct bytes b);

/* A hash in the making. NULL for algorithms that are no hash: NONE, V1_ID. */
struct digest_state;
struct digest_state *digest_begin(enum digest_algo algo);
void digest_update(struct digest_state *s, const void *p, size_t n);
/* Gives the digest (d may be NULL to throw it away) and frees s. When the library failed, d is
 * DIGEST_NONE, which equals no digest that anybody can name. */
void digest_end(struct digest_state *s, struct digest *d);

/* Of bytes in memory; DIGEST_NONE as above. */
void digest_of(struct digest *d, enum digest_algo algo, struct bytes b);
/* Of the whole file behind fd, from offset 0, with a fixed buffer; asks the kernel on the way to
 * start writing what it has read, so that the fsync that follows finds little left to do. Fails
 * with the read's error. *size: how many bytes there were (that were read, when it fails). */
int digest_of_fd(struct digest *d, enum digest_algo algo, int fd, uint64_t *size, struct err *err);
/* The same, and feeds another hash on the way, so that the file is read once for both. The caller
 * has begun it, may have fed it something before, and ends it. */
int digest_of_fd_with(struct digest *d, enum digest_algo algo, struct digest_state *also, int fd,
                      uint64_t *size, struct err *err);

#endif
