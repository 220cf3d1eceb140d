/* A line of nginx's log, in which strangers have their say. */
#include "fuzz.h"
#include "process/nginx/nginx_log.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *severity;
    char *line = fuzz_text(data, n);
    const char *end = line + strlen(line);
    const char *text = nginx_log_split(line, &severity);
    MUST(text >= line && text <= end);
    MUST(*severity == '\0' || (severity > line && severity < text));
    MUST(strspn(severity, "abcdefghijklmnopqrstuvwxyz") == strlen(severity));
    free(line);
    return 0;
}
