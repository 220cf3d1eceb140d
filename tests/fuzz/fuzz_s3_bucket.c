/* The URL of a bucket, as --blobs names it, and the escaping of queries. */
#include "fuzz.h"
#include "storage/s3/s3_bucket.h"
#include "storage/s3/s3_sign.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = fuzz_text(data, n);
    char *name = malloc(strlen(text) + 6);
    struct s3_bucket b;
    struct buf escaped;
    struct err err;

    MUST(name != NULL);
    memcpy(name, "s3://", 5);
    memcpy(name + 5, text, strlen(text) + 1);
    MUST(s3_bucket_is(name));
    if (s3_bucket_parse(&b, name, &err) == 0) {
        MUST(b.host[0] != '\0' && strpbrk(b.host, "/?@ \n") == NULL);
        MUST(b.path[0] == '/' && b.path[strlen(b.path) - 1] == '/');
        MUST(strstr(b.path, "//") == NULL && strstr(b.path, "..") == NULL);
        MUST(strpbrk(b.path, " %?#\"'\\;{}$\n") == NULL && b.region[0] != '\0');
    } else {
        MUST(err.code == ERR_BAD_REQUEST);
    }
    buf_init(&escaped, 3 * strlen(text) + 1);
    s3_sign_escape(&escaped, text);
    MUST(buf_ok(&escaped) && escaped.n >= strlen(text));
    MUST(strpbrk(buf_text(&escaped), "&=+ /") == NULL);
    buf_free(&escaped);
    free(name);
    free(text);
    return 0;
}
