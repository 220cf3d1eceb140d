#include <stdbool.h>
#include "process/commands/command_table.h"
#include "process/commands/manual_data.h"
#include "process/options/options_table.h"

/* Prints the tables of commands and options, and the topics of help, as functions of bash. make
 * puts them in front of completion.bash, and the result is what is installed. */

#define PREFIX "_docker_registry_server_"

/* ---- options ---- */

static void
print_options_of(const char *command)
{
    printf("    %s) echo \"", command);
    for (size_t i = 0; i < options_table_n; i++) {
        const struct options_row *row = &options_table[i];

        if (!options_table_knows(row, command))
            continue;
        printf("--%s ", row->name);
        if (row->letter != '\0')
            printf("-%c ", row->letter);
    }
    puts("\" ;;");
}

static void
print_options(void)
{
    puts("\n# The options that a command knows.\n" PREFIX "options() {\n    case $1 in");
    print_options_of("serve");
    for (size_t i = 0; i < command_table_n; i++)
        print_options_of(command_table[i].name);
    puts("    esac\n}");
}

static void
print_values(void)
{
    puts("\n# What kind of value an option takes. A flag takes none.\n" PREFIX
         "value() {\n    case $1 in");
    for (size_t i = 0; i < options_table_n; i++) {
        const struct options_row *row = &options_table[i];

        if (row->arg == NULL)
            continue;
        printf("    --%s", row->name);
        if (row->letter != '\0')
            printf(" | -%c", row->letter);
        printf(") echo \"%s\" ;;\n", row->arg);
    }
    puts("    esac\n}");
}

/* ---- commands ---- */

/* Prints the next word of a line of --help, and returns what is behind it. NULL: the line, or what
 * is to be typed, has ended; its description stands behind two blanks. */
static const char *
print_word(const char *line, bool first)
{
    size_t n = strcspn(line, " \n");

    if (n == 0 || (*line == '.' && !first))
        return NULL;
    printf("%s%.*s", first ? "" : " ", (int)n, line);
    return line[n] == ' ' ? line + n + 1 : line + n;
}

static void
print_commands(void)
{
    puts("\n# The first words of each command, with [kinds] of arguments.\n" PREFIX
         "commands=\"serve");
    for (size_t i = 0; i < command_table_n; i++)
        for (const char *line = command_table[i].help; *line != '\0';) {
            const char *p = line + strspn(line, " ");

            if (p - line == 2) { /* further lines of a description are indented more */
                for (bool first = true; p != NULL; first = false)
                    p = print_word(p, first);
                putchar('\n');
            }
            line += strcspn(line, "\n");
            line += *line == '\n';
        }
    puts("\"");
}

static void
print_topics(void)
{
    fputs("\n" PREFIX "topics=\"", stdout);
    for (size_t i = 0; i < manual_data_pages_n; i++)
        printf("%s ", manual_data_pages[i].topic);
    puts("\"");
}

/* The hooks that --on-NAME names. */
static void
print_hooks(void)
{
    fputs("\n" PREFIX "hooks=\"", stdout);
    for (size_t i = 0; i < options_table_n; i++)
        if (options_table[i].kind == OPTIONS_SCRIPT)
            printf("%s ", options_table[i].name + sizeof "on-" - 1);
    puts("\"\n");
}

int
main(void)
{
    puts("# bash completion for docker-registry-server " PACKAGE_VERSION ", made by its build.");
    print_options();
    print_values();
    print_commands();
    print_topics();
    print_hooks();
    return fflush(stdout) == 0 ? 0 : 1;
}
