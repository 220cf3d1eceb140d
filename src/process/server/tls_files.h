#pragma once

#include <stdbool.h>
#include "process/options/options.h"
#include "util/buf.h"
#include "util/certificate.h"
#include "util/err.h"

/* nginx doesn't run as root and may be unable to read the certificate and key, so it gets copies:
 * run/tls.crt and run/tls.key. nginx checks whether the two belong together. */
struct tls_files {
    struct buf cert;
    struct buf key;
    struct certificate_span span;
};

bool tls_files_wanted(const struct options *o);

/* Reads both into memory; names that are relative start at dirfd. */
int tls_files_read(struct tls_files *t, int dirfd, const struct options *o, struct err *err);
/* Writes the copies below the data directory. */
int tls_files_install(const struct tls_files *t, int dirfd, struct err *err);
void tls_files_remove(int dirfd);
/* Warns if a certificate is out of its time, or will be within 30 days. */
void tls_files_warn(const struct certificate_span *span, const char *file);
/* Wipes the memory of both. */
void tls_files_free(struct tls_files *t);
