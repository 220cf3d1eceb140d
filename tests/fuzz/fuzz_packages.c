/* The files in which package managers note what is installed. */
#include "fuzz.h"
#include "domain/inside/packages.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (int kind = PACKAGE_DEB; kind <= PACKAGE_APK; kind++) {
        struct packages p = {.n = 0};
        struct arena arena;
        struct err err;

        arena_init(&arena, (size_t)64 << 20);
        if (packages_parse(&p, (enum package_kind)kind, bytes_of(data, n), &arena, &err) == 0) {
            packages_sort(&p);
            MUST(p.n <= PACKAGES_MAX && p.bytes <= PACKAGES_TEXTS_MAX);
            for (size_t i = 0; i < p.n; i++) {
                MUST(p.v[i].kind == (enum package_kind)kind && p.v[i].name[0] != '\0');
                MUST(strlen(p.v[i].version) <= PACKAGE_TEXT_MAX);
                MUST(i == 0 || packages_compare(&p.v[i - 1], &p.v[i]) <= 0);
            }
        }
        packages_free(&p);
        arena_reset(&arena);
    }
    return 0;
}
