#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"
#include "util/err.h"

/* Digests by OCI image-spec "descriptor.md#digests": sha256:<64 hex> and sha512:<128 hex>, in lower
 * case. DIGEST_V1_ID marks the id of a v1 image (64 hex without a prefix). That id is a name chosen
 * by the client and not a hash, but it is referred to and stored in the same way. The numbers are
 * part of the stored format. */
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

/* The bytes in a digest of that algorithm; 0 for DIGEST_NONE or an unknown number. */
size_t digest_size(enum digest_algo algo);
/* "sha256", "sha512", "v1". */
const char *digest_algo_name(enum digest_algo algo);
/* The hash of that name, "sha256" or "sha512"; DIGEST_NONE: there is none. */
enum digest_algo digest_algo_named(struct bytes name);

/* Parses "sha256:…" or "sha512:…"; the text is exactly n bytes long. Returns 0, or -1 and
 * ERR_BAD_DIGEST. */
int digest_parse(struct digest *d, const char *text, size_t n, struct err *err);
/* Parses the 64 hex digits of a v1 id. Returns 0, or -1 and ERR_BAD_DIGEST. */
int digest_parse_v1_id(struct digest *d, const char *text, size_t n, struct err *err);
/* Writes "sha256:…"; a v1 id gets no prefix. */
void digest_text(char out[DIGEST_TEXT_MAX], const struct digest *d);
/* The hex digits alone. */
void digest_hex(char out[DIGEST_TEXT_MAX], const struct digest *d);

/* Files that are named by digests are spread over 512 directories, "sha256/00" to "sha512/ff".
 * digest_path writes the name of such a file: "sha256/ab/abcd...". digest_directory writes the name
 * of directory n, and returns its algorithm; digest_directory_of is the n of a digest. */
#define DIGEST_PATH_MAX (sizeof "sha256/ab/" + DIGEST_TEXT_MAX)
#define DIGEST_DIRECTORIES 512
void digest_path(char out[DIGEST_PATH_MAX], const struct digest *d);
enum digest_algo digest_directory(char out[DIGEST_PATH_MAX], unsigned n);
unsigned digest_directory_of(const struct digest *d);

bool digest_equal(const struct digest *a, const struct digest *b);
/* Compares by algorithm, then by bytes, which is the order of the keys in storage. */
int digest_compare(const struct digest *a, const struct digest *b);
/* The same, for qsort. */
int digest_order(const void *a, const void *b);

#define DIGEST_HMAC_BYTES 32

/* HMAC-SHA256 (RFC 2104). Returns false when the library fails. */
bool digest_hmac_sha256(uint8_t out[DIGEST_HMAC_BYTES], struct bytes key, struct bytes message);
/* SHA-1, which is good for hashes of long random secrets only. False as above. */
#define DIGEST_SHA1_BYTES 20
bool digest_sha1(uint8_t out[DIGEST_SHA1_BYTES], struct bytes b);
/* Compares in a time that doesn't depend on where a and b differ. */
bool digest_secret_equal(struct bytes a, struct bytes b);

/* A hash that is being computed; never NULL. */
struct digest_state;
struct digest_state *digest_begin(enum digest_algo algo);
void digest_update(struct digest_state *s, const void *p, size_t n);
/* Stores the digest in d (unless d is NULL) and frees s. When the library failed, or the algorithm
 * is not a hash (DIGEST_NONE, DIGEST_V1_ID), d becomes DIGEST_NONE, which never equals a digest
 * from a client. */
void digest_end(struct digest_state *s, struct digest *d);

/* The digest of bytes in memory; DIGEST_NONE when the library failed. */
void digest_of(struct digest *d, enum digest_algo algo, struct bytes b);
/* The digest of the whole file fd, read from offset 0 through a buffer of fixed size. While it
 * reads, it asks the kernel to start writing the file to disk, so that a later fsync has little
 * left to do. Fails with the error of the read. *size: the bytes that were read, also after a
 * failure. */
int digest_of_fd(struct digest *d, enum digest_algo algo, int fd, uint64_t *size, struct err *err);
/* The same, and also updates a second hash, so that one pass over the file serves both. The caller
 * begins and ends that hash, and may have updated it with other bytes before. */
int digest_of_fd_with(struct digest *d, enum digest_algo algo, struct digest_state *also, int fd,
                      uint64_t *size, struct err *err);

/* The beginning of a SHA-256, in memory that may be copied and shared between processes, unlike
 * digest_state. */
struct digest_begun {
    uint64_t size; /* bytes so far */
    uint64_t words[14];
};
void digest_begun_init(struct digest_begun *b);
void digest_begun_update(struct digest_begun *b, const void *p, size_t n);

/* As digest_of_fd with SHA-256, but the file's first begun->size bytes are not read: they are those
 * of *begun. */
int digest_of_fd_begun(struct digest *d, const struct digest_begun *begun, int fd, uint64_t *size,
                       struct err *err);
