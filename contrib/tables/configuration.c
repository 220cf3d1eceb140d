#include <ctype.h>
#include <stdbool.h>
#include "process/options/options_table.h"

/* Prints a configuration file with all options that it may have, each as a comment with its
 * default, except the two that a service needs. */

static const char head[] = "# The configuration of docker-registry-server. "
                           "docker-registry-server-config(5) describes the\n"
                           "# form of this file, docker-registry-server(8) each option. To set "
                           "one, remove the # in front\n"
                           "# of its name. Then: systemctl reload docker-registry-server\n";

/* The value that a service needs instead of the default; NULL: the default is right. */
static const char *
needed_value(const struct options_row *row)
{
    if (strcmp(row->name, "dir") == 0)
        return "/var/lib/docker-registry-server";
    return strcmp(row->name, "run-as") == 0 ? "docker-registry" : NULL;
}

/* The default, unless it is a description of one; otherwise the kind of the value, in capitals. */
static void
print_value(const struct options_row *row)
{
    bool described = row->def == NULL || strstr(row->def, OPTIONS_TABLE_PROCESSORS) != NULL;

    if (row->arg == NULL)
        return;
    fputs(" = ", stdout);
    for (const char *p = described ? row->arg : row->def; *p != '\0'; p++)
        putchar(described ? toupper((unsigned char)*p) : *p);
}

static bool
may_be_unlimited(const struct options_row *row)
{
    return row->kind == OPTIONS_LIMIT || (row->kind == OPTIONS_SIZE && row->least == 0);
}

static void
print_setting(const struct options_row *row)
{
    const char *value = needed_value(row);

    if (row->help != NULL)
        printf("\n# %s%s\n", row->help, may_be_unlimited(row) ? " (0: no limit)" : "");
    if (value != NULL) {
        printf("%s = %s\n", row->name, value);
        return;
    }
    printf("#%s", row->name);
    print_value(row);
    putchar('\n');
}

int
main(void)
{
    fputs(head, stdout);
    for (size_t i = 0; i < options_table_n; i++)
        if (options_table_in_file(&options_table[i]))
            print_setting(&options_table[i]);
    return fflush(stdout) == 0 ? 0 : 1;
}
