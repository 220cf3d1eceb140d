#include "domain/v1/image_checksum.h"
#include <stdbool.h>
#include <strings.h>
#include "storage/layers/tarsum.h"
#include "util/log.h"

#define SEPARATORS " \t,[]\""

/* The longest checksum that can equal one of ours, in bytes. */
#define WORD_MAX 128

/* The next word of a list, in lower case; its length, 0 at the end. */
static size_t
next_word(const char **list, char word[WORD_MAX])
{
    size_t n, kept = 0;

    *list += strspn(*list, SEPARATORS);
    n = strcspn(*list, SEPARATORS);
    for (size_t i = 0; i < n && kept < WORD_MAX - 1; i++) {
        char c = (*list)[i];

        word[kept++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    word[kept] = '\0';
    *list += n;
    return n;
}

static bool
is_word_of(const char *word, const struct digest *d)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, d);
    return strcmp(word, text) == 0;
}

static bool
lists_digest(const char *list, const struct digest *d)
{
    char word[WORD_MAX];

    while (next_word(&list, word) > 0)
        if (is_word_of(word, d))
            return true;
    return false;
}

static bool
parse_tarsum(const char *word, enum tarsum_version *version, struct digest *d)
{
    static const struct {
        const char *label;
        enum tarsum_version version;
    } labels[] = {
        {"tarsum+", TARSUM_V0},
        {"tarsum.v1+", TARSUM_V1},
        {"tarsum.dev+", TARSUM_V1},
    };
    struct err ignored;

    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        size_t n = strlen(labels[i].label);

        if (strncmp(word, labels[i].label, n) != 0)
            continue;
        *version = labels[i].version;
        return digest_parse(d, word + n, strlen(word + n), &ignored) == 0 &&
               d->algo == DIGEST_SHA256;
    }
    return false;
}

/* The tarsums of the layer: each takes as long as unpacking it, and is computed once, however many
 * values the client sends. */
struct tarsums {
    struct {
        bool is_known;
        struct tarsum sum;
    } of[TARSUM_V1 + 1];
};

static int
compare_tarsum(const struct checksum_subject *s, struct tarsums *known, enum tarsum_version version,
               const struct digest *want, enum checksum_verdict *verdict, struct err *err)
{
    struct tarsum *sum = &known->of[version].sum;

    if (!known->of[version].is_known) {
        if (tarsum_of_fd(s->fd, version, s->json, sum, err) != 0)
            return -1;
        known->of[version].is_known = true;
        if (!sum->computed)
            log_client_line(LOG_INFO, "the tarsum of a layer can't be computed", "why=%s",
                            sum->why);
    }
    if (!sum->computed)
        *verdict = IMAGE_CHECKSUM_UNSURE;
    else if (digest_equal(&sum->digest, want))
        *verdict = IMAGE_CHECKSUM_MATCH;
    else
        *verdict = sum->duplicates ? IMAGE_CHECKSUM_UNSURE : IMAGE_CHECKSUM_MISMATCH;
    return sum->computed ? 0 : 1;
}

/* X-Docker-Checksum: the first word that fits decides, else the last one. alone: no other checksum
 * is given. */
static int
compare_list(const struct checksum_subject *s, const char *list, bool alone,
             enum checksum_verdict *verdict, struct err *err)
{
    struct tarsums known = {.of = {{.is_known = false}}};
    enum tarsum_version version;
    struct digest want;
    char word[WORD_MAX];

    /* A checksum of an unknown kind: the payload's checksum is enough. */
    *verdict = alone ? IMAGE_CHECKSUM_MISMATCH : IMAGE_CHECKSUM_UNSURE;
    while (next_word(&list, word) > 0) {
        int rc = 0;

        if (is_word_of(word, s->payload) || is_word_of(word, s->layer))
            *verdict = IMAGE_CHECKSUM_MATCH;
        else if (strncmp(word, "sha256:", 7) == 0)
            *verdict = IMAGE_CHECKSUM_MISMATCH;
        else if (parse_tarsum(word, &version, &want))
            rc = compare_tarsum(s, &known, version, &want, verdict, err);
        if (rc < 0)
            return -1;
        if (rc == 1 && alone)
            *verdict = IMAGE_CHECKSUM_MISMATCH;
        if (*verdict == IMAGE_CHECKSUM_MATCH)
            return 0;
    }
    return 0;
}

int
image_checksum_compare(const struct checksum_subject *s, const char *checksum, const char *payload,
                       enum checksum_verdict *verdict, struct err *err)
{
    bool has_checksum = checksum != NULL && checksum[strspn(checksum, SEPARATORS)] != '\0';
    bool has_payload = payload != NULL && payload[strspn(payload, SEPARATORS)] != '\0';

    *verdict = IMAGE_CHECKSUM_MATCH;
    if (!has_checksum && !has_payload)
        return err_set(err, ERR_BAD_IMAGE, "Missing Image's checksum");
    if (has_payload && !lists_digest(payload, s->payload))
        *verdict = IMAGE_CHECKSUM_MISMATCH;
    if (!has_checksum || *verdict == IMAGE_CHECKSUM_MISMATCH)
        return 0;
    if (compare_list(s, checksum, !has_payload, verdict, err) != 0)
        return -1;
    if (has_payload && *verdict == IMAGE_CHECKSUM_UNSURE)
        *verdict = IMAGE_CHECKSUM_MATCH;
    return 0;
}
