#include "process/options/options_help.h"
#include "process/options/options_table.h"

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
print_default(FILE *to, const struct options_row *row)
{
    bool unlimited = row->kind == OPTIONS_LIMIT || (row->kind == OPTIONS_SIZE && row->least == 0);
    if (row->def == NULL || row->letter != '\0')
        return;
    if (unlimited && strcmp(row->def, "0") == 0)
        fputs(" (0: no limit)", to);
    else
        fprintf(to, " (%s%s)", row->def, unlimited ? "; 0: no limit" : "");
}

void
options_help(FILE *to)
{
    fputs("Usage: docker-registry-server [options]\n\n", to);
    for (size_t i = 0; i < options_table_n; i++) {
        char left[64];
        if (options_table[i].help == NULL)
            continue;
        describe_option(left, sizeof left, &options_table[i]);
        fprintf(to, "  %-23s  %s", left, options_table[i].help);
        print_default(to, &options_table[i]);
        putc('\n', to);
    }
    fputs("\n"
          "Hooks: image layer verify index tag untag manifest delete, and pre-tag and pre-delete,\n"
          "which may refuse. See \"docker-registry-server help hooks.5\".\n\n",
          to);
}
