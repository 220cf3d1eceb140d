#include "util/certificate.h"
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

/* OpenSSL would ask for a passphrase at the terminal, and the server may have none. */
static int
no_passphrase(char *out, int room, int writing, void *arg)
{
    (void)out;
    (void)room;
    (void)writing;
    (void)arg;
    return -1;
}

static BIO *
open_pem(struct bytes pem)
{
    return pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
}

static int64_t
seconds_of(const ASN1_TIME *time)
{
    struct tm tm;

    return ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : 0;
}

static void
narrow_span(struct certificate_span *span, const X509 *x509)
{
    int64_t from = seconds_of(X509_get0_notBefore(x509));
    int64_t until = seconds_of(X509_get0_notAfter(x509));

    span->from = from > span->from ? from : span->from;
    span->until = until < span->until ? until : span->until;
}

static void
narrow_by_chain(BIO *in, struct certificate_span *span)
{
    X509 *x509;

    while ((x509 = PEM_read_bio_X509(in, NULL, no_passphrase, NULL)) != NULL) {
        narrow_span(span, x509);
        X509_free(x509);
    }
}

int
certificate_check(struct bytes certificate, struct bytes key, struct certificate_span *span,
                  struct err *err)
{
    BIO *certificate_in = open_pem(certificate), *key_in = open_pem(key);
    X509 *x509 = NULL;
    EVP_PKEY *pkey = NULL;
    int rc = 0;

    if (certificate_in != NULL)
        x509 = PEM_read_bio_X509(certificate_in, NULL, no_passphrase, NULL);
    if (key_in != NULL)
        pkey = PEM_read_bio_PrivateKey(key_in, NULL, no_passphrase, NULL);
    if (x509 == NULL)
        rc = err_set(err, ERR_BAD_REQUEST, "the certificate can't be read: it must be PEM");
    else if (pkey == NULL)
        rc = err_set(err, ERR_BAD_REQUEST,
                     "the key can't be read: it must be PEM without a passphrase");
    else if (X509_check_private_key(x509, pkey) != 1)
        rc = err_set(err, ERR_BAD_REQUEST, "the key doesn't belong to the certificate");
    if (rc == 0) {
        *span = (struct certificate_span){INT64_MIN, INT64_MAX};
        narrow_span(span, x509);
        narrow_by_chain(certificate_in, span);
    }
    ERR_clear_error();
    EVP_PKEY_free(pkey);
    X509_free(x509);
    BIO_free(key_in);
    BIO_free(certificate_in);
    return rc;
}
