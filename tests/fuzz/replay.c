/* Gives files to a fuzzer, each once: main() of the fuzzers where there is no libFuzzer, which does
 * the same when it is called so. */
#include "fuzz.h"

#define INPUT_MAX (1u << 20)

static int
replay(const char *name)
{
    FILE *in = fopen(name, "rb");
    uint8_t *room = malloc(INPUT_MAX);
    int rc = 1;
    if (in != NULL && room != NULL) {
        size_t n = fread(room, 1, INPUT_MAX, in);
        /* exactly as long as the input, so that a sanitizer sees a byte too far */
        uint8_t *data = malloc(n > 0 ? n : 1);
        if (data != NULL && !ferror(in)) {
            if (n > 0)
                memcpy(data, room, n);
            rc = LLVMFuzzerTestOneInput(data, n);
        }
        free(data);
    }
    if (rc != 0)
        fprintf(stderr, "cannot read %s\n", name);
    free(room);
    if (in != NULL)
        fclose(in);
    return rc;
}

int
main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE...\n", argv[0]);
        return 2;
    }
    for (int i = 1; i < argc; i++)
        if (replay(argv[i]) != 0)
            return 1;
    return 0;
}
