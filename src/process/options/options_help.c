#include "process/options/options_help.h"
#include "process/options/options_table.h"

#define TEXT_COLUMN 27
#define LINE_MAX_COLUMNS 80

/* "--port, -p  [port]"; one line stands for the scripts of all hooks. */
static void
describe_option(char *out, size_t n, const struct options_row *row)
{
    if (row->kind == OPTIONS_SCRIPT)
        snprintf(out, n, "--on-{hook} [%s]", row->arg);
    else if (row->letter != '\0')
        snprintf(out, n, "--%s,%*s-%c  [%s]", row->name, (int)(strlen("port ") - strlen(row->name)),
                 "", row->letter, row->arg);
    else if (row->arg != NULL)
        snprintf(out, n, "--%s  [%s]", row->name, row->arg);
    else
        snprintf(out, n, "--%s", row->name);
}

/* The lines of options with letters are those of the original, which names no defaults. */
static void
describe_default(char *out, size_t n, const struct options_row *row)
{
    bool unlimited = row->kind == OPTIONS_LIMIT || (row->kind == OPTIONS_SIZE && row->least == 0);
    bool tells_zero = row->help != NULL && strstr(row->help, "(0: ") != NULL;

    if (row->def == NULL || row->letter != '\0' || (tells_zero && strcmp(row->def, "0") == 0))
        *out = '\0';
    else if (unlimited && strcmp(row->def, "0") == 0)
        snprintf(out, n, " (0: no limit)");
    else
        snprintf(out, n, " (%s%s)", row->def, unlimited ? "; 0: no limit" : "");
}

/* Prints the text from TEXT_COLUMN on, in lines of at most LINE_MAX_COLUMNS. */
static void
print_text(FILE *to, const char *text)
{
    size_t column = TEXT_COLUMN;

    while (*text != '\0') {
        size_t word = strcspn(text, " ");

        if (column > TEXT_COLUMN && column + 1 + word > LINE_MAX_COLUMNS) {
            fprintf(to, "\n%*s", TEXT_COLUMN, "");
            column = TEXT_COLUMN;
        }
        if (column > TEXT_COLUMN) {
            putc(' ', to);
            column++;
        }
        fwrite(text, 1, word, to);
        column += word;
        text += word + (text[word] == ' ');
    }
    putc('\n', to);
}

/* The options of a command, or all if that is NULL. */
static void
print_options(FILE *to, const char *command)
{
    for (size_t i = 0; i < options_table_n; i++) {
        const struct options_row *row = &options_table[i];
        char left[64], text[256], def[64];

        if (row->help == NULL || (command != NULL && !options_table_knows(row, command)))
            continue;
        describe_option(left, sizeof left, row);
        describe_default(def, sizeof def, row);
        snprintf(text, sizeof text, "%s%s", row->help, def);
        if (strlen(left) > TEXT_COLUMN - 4)
            fprintf(to, "  %s\n%*s", left, TEXT_COLUMN, "");
        else
            fprintf(to, "  %-*s", TEXT_COLUMN - 2, left);
        print_text(to, text);
    }
    putc('\n', to);
}

void
options_help(FILE *to)
{
    fputs("Usage: docker-registry-server [options]\n\n", to);
    print_options(to, NULL);
    fputs("Hooks: image layer verify index tag untag manifest delete, and pre-tag and\n"
          "pre-delete, which may refuse. See \"docker-registry-server help hooks.5\".\n\n",
          to);
}

void
options_help_command(FILE *to, const char *command, const char *lines)
{
    fprintf(to, "Usage: docker-registry-server COMMAND [options]\n\n%s\n", lines);
    print_options(to, command);
    fprintf(to, "See \"docker-registry-server help %s\".\n\n", command);
}
