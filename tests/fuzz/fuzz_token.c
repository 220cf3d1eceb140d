/* The text after "Authorization: Token ". */
#include "fuzz.h"
#include "domain/access/token.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = fuzz_text(data, n);
    struct token t;
    if (token_parse(&t, bytes_of(text, n))) {
        char expiry[24];
        const char *user = t.user.p, *mac = t.mac.p;
        MUST(user == text && t.head.p == text && mac + t.mac.n == text + n);
        MUST(t.user.n > 0 && t.user.n <= RECORD_ACTOR_MAX);
        MUST(memchr(user, '\0', t.user.n) == NULL);
        MUST(t.head.n + 1 + t.mac.n == n && text[t.head.n] == '.' && user[t.user.n] == '.');
        MUST(t.mac.n == BASE64_TEXT(TOKEN_MAC_BYTES) - 1 && memchr(mac, '.', t.mac.n) == NULL);
        /* the number that stands there, but for zeroes in front of it */
        const char *digits = text + t.user.n + 1;
        size_t digits_n = t.head.n - t.user.n - 1;
        for (; digits_n > 1 && *digits == '0'; digits_n--)
            digits++;
        snprintf(expiry, sizeof expiry, "%llu", (unsigned long long)t.expiry);
        MUST(strlen(expiry) == digits_n && memcmp(expiry, digits, digits_n) == 0);
    }
    free(text);
    return 0;
}
