#include "process/options/options_change.h"

static const void *
value_at(const struct options_row *row, const struct options *o)
{
    return (const char *)o + row->at;
}

static bool
is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
is_same_list(const struct options_list *a, const struct options_list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!is_same_text(a->v[i], b->v[i]))
            return false;
    return true;
}

bool
options_change_is(const struct options_row *row, const struct options *a, const struct options *b)
{
    const void *x = value_at(row, a), *y = value_at(row, b);

    switch (row->kind) {
    case OPTIONS_FLAG:
    case OPTIONS_FORMAT:
        return *(const bool *)x != *(const bool *)y;
    case OPTIONS_LEVEL:
        return *(const enum log_level *)x != *(const enum log_level *)y;
    case OPTIONS_TEXT:
    case OPTIONS_SCRIPT:
    case OPTIONS_NAME:
    case OPTIONS_URL:
    case OPTIONS_LOG:
        return !is_same_text(*(char *const *)x, *(char *const *)y);
    case OPTIONS_NUMBER:
    case OPTIONS_LIMIT:
    case OPTIONS_SIZE:
    case OPTIONS_TIME:
        return *(const uint64_t *)x != *(const uint64_t *)y;
    case OPTIONS_USER:
        return false;
    case OPTIONS_PORT:
    case OPTIONS_ADDRESS:
    case OPTIONS_NETWORK:
    case OPTIONS_ORIGIN:
    case OPTIONS_TAGS:
    case OPTIONS_QUOTA:
        return !is_same_list(x, y);
    }
    return false;
}

static void
keep_value(struct buf *out, const struct options_row *row, const char *value)
{
    if (value == NULL)
        return;
    buf_putf(out, "%s=%s", row->name, value);
    buf_putc(out, '\0');
}

void
options_change_keep(const struct options *o, struct buf *out)
{
    for (size_t i = 0; i < options_table_n; i++) {
        const struct options_row *row = &options_table[i];
        const struct options_list *list = value_at(row, o);

        if (!row->restart)
            continue;
        if (row->kind < OPTIONS_PORT)
            keep_value(out, row, *(char *const *)value_at(row, o));
        for (size_t k = 0; row->kind >= OPTIONS_PORT && k < list->n; k++)
            keep_value(out, row, list->v[k]);
    }
}
