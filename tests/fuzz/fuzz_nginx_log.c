/* A line of nginx's log, in which strangers have their say. */
#include "fuzz.h"
#include "process/nginx/nginx_log.h"
#include "util/log.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wrong_passwords wrong = {0};
    const char *severity;
    char *line = fuzz_text(data, n);
    const char *end = line + strlen(line);
    const char *text = nginx_log_split(line, &severity);
    MUST(text >= line && text <= end);
    MUST(*severity == '\0' || (severity > line && severity < text));
    MUST(strspn(severity, "abcdefghijklmnopqrstuvwxyz") == strlen(severity));
    log_set_level(LOG_ERROR);
    if (wrong_passwords_take(&wrong, text, 1)) {
        MUST(strstr(text, wrong.of[0].user) != NULL);
        MUST(strstr(text, wrong.of[0].address) != NULL);
        MUST(strpbrk(wrong.of[0].address, ", ") == NULL);
        wrong_passwords_tell(&wrong, 60001);
        MUST(wrong.of[0].times == 0);
    }
    free(line);
    return 0;
}
