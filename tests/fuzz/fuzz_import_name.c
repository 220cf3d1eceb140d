/* Names of images in archives. */
#include "fuzz.h"
#include "domain/transfer/import_name.h"
#include "domain/name.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = fuzz_text(data, n);
    struct import_name name;
    char file[RECORD_REPOSITORY_MAX + 1];
    if (import_name_parse(&name, text, "fall/back"))
        MUST(name_is_repository(name.repository) && (name.tag[0] == '\0' || name_is_tag(name.tag)));
    if (import_name_parse_own(&name, text)) {
        MUST(name_is_repository(name.repository) && (name.tag[0] == '\0' || name_is_tag(name.tag)));
        MUST(strncmp(text, name.repository, strlen(name.repository)) == 0);
    }
    if (import_name_of_file(file, text))
        MUST(name_is_repository(file) && strlen(file) <= strlen(text));
    free(text);
    return 0;
}
