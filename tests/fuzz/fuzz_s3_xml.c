/* An answer of S3: a list of objects or uploads, an error. */
#include "fuzz.h"
#include "storage/s3/s3_xml.h"

static void
look_at(struct bytes document)
{
    static const char *const names[] = {"Key",  "Size",     "LastModified",
                                        "Code", "UploadId", "NextContinuationToken"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct bytes text = s3_xml_text(document, names[i]);
        struct buf out, again;
        MUST(text.p == NULL ||
             ((const char *)text.p >= (const char *)document.p &&
              (const char *)text.p + text.n <= (const char *)document.p + document.n));
        buf_init(&out, 1000);
        buf_init(&again, 10000);
        if (s3_xml_decode(&out, text) && out.n == strlen(buf_text(&out))) {
            struct buf back;
            MUST(out.n <= text.n);
            s3_xml_encode(&again, buf_text(&out));
            buf_init(&back, 1000);
            MUST(s3_xml_decode(&back, buf_bytes(&again)));
            MUST(strcmp(buf_text(&back), buf_text(&out)) == 0);
            buf_free(&back);
        }
        buf_free(&again);
        buf_free(&out);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const elements[] = {"Contents", "Upload", "Error"};

    look_at(bytes_of(data, n));
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        struct bytes rest = bytes_of(data, n), one;
        size_t left = n + 1;
        while ((one = s3_xml_next(&rest, elements[i])).p != NULL) {
            MUST(rest.n < left);
            left = rest.n;
            look_at(one);
        }
    }
    return 0;
}
