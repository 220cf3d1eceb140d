#include "domain/name_pattern.h"
#include "storage/tables/record.h"
#include "util/glob.h"

#define LOWER_AND_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"
#define TAG_BEGINS LOWER_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"

/* All names are followed at once: a set for each place of the grammar has the places of the pattern
 * to which some name of this length leads. The grammar of repositories: see name.h. */
enum name_place {
    AT_BEGINNING, /* of a component */
    BEHIND_LETTER,
    BEHIND_DOT, /* or behind __ */
    BEHIND_UNDERSCORE,
    BEHIND_DASH,
    NAME_PLACES,
};

/* The bytes that lead from one place of the grammar to another. */
static const struct name_move {
    enum name_place from, to;
    const char *by;
} name_moves[] = {
    {AT_BEGINNING, BEHIND_LETTER, LOWER_AND_DIGITS},
    {BEHIND_LETTER, BEHIND_LETTER, LOWER_AND_DIGITS},
    {BEHIND_DOT, BEHIND_LETTER, LOWER_AND_DIGITS},
    {BEHIND_UNDERSCORE, BEHIND_LETTER, LOWER_AND_DIGITS},
    {BEHIND_DASH, BEHIND_LETTER, LOWER_AND_DIGITS},
    {BEHIND_LETTER, AT_BEGINNING, "/"},
    {BEHIND_LETTER, BEHIND_DOT, "."},
    {BEHIND_LETTER, BEHIND_UNDERSCORE, "_"},
    {BEHIND_UNDERSCORE, BEHIND_DOT, "_"},
    {BEHIND_LETTER, BEHIND_DASH, "-"},
    {BEHIND_DASH, BEHIND_DASH, "-"},
};

#define MOVES (sizeof name_moves / sizeof *name_moves)

/* Adds the places to which a move leads from `before`. */
static bool
follow_move(const struct glob *g, const struct glob_set *before, const struct glob_byte *by,
            struct glob_set *to)
{
    struct glob_set at = *before;

    if (!glob_step(g, &at, by))
        return false;
    for (size_t w = 0; w < GLOB_WORDS; w++)
        to->word[w] |= at.word[w];
    return true;
}

bool
name_pattern_fits_repository(struct bytes pattern)
{
    struct glob_set before[NAME_PLACES] = {{{0}}}, after[NAME_PLACES];
    struct glob_byte by[MOVES];
    struct glob g;
    struct err ignored;
    bool goes_on = true;

    if (glob_compile(&g, pattern, &ignored) != 0)
        return false;
    for (size_t i = 0; i < MOVES; i++)
        by[i] = glob_byte_of(&g, bytes_str(name_moves[i].by));
    before[AT_BEGINNING] = g.start;
    for (size_t n = 0; n < RECORD_REPOSITORY_MAX && goes_on; n++) {
        memset(after, 0, sizeof after);
        goes_on = false;
        for (size_t i = 0; i < MOVES; i++)
            goes_on |=
                follow_move(&g, &before[name_moves[i].from], &by[i], &after[name_moves[i].to]);
        if (glob_is_at_end(&g, &after[BEHIND_LETTER]))
            return true;
        memcpy(before, after, sizeof before);
    }
    return false;
}

bool
name_pattern_fits_tag(struct bytes pattern)
{
    struct glob_byte first, further;
    struct glob_set at;
    struct glob g;
    struct err ignored;

    if (glob_compile(&g, pattern, &ignored) != 0)
        return false;
    first = glob_byte_of(&g, bytes_str(TAG_BEGINS));
    further = glob_byte_of(&g, bytes_str(TAG_BEGINS ".-"));
    at = g.start;
    for (size_t n = 0; n < RECORD_TAG_MAX; n++) {
        if (!glob_step(&g, &at, n == 0 ? &first : &further))
            return false;
        if (glob_is_at_end(&g, &at))
            return true;
    }
    return false;
}
