#include "process/commands/manual.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "docker-registry-server"
#define PROGRAM_TOPIC "serve"
#define COMMAND_SECTION ".8"
#define NAME_HEADING "\n.SH NAME\n"
#define NAME_DASH " \\- "

/* "hooks" and ".5" of "docker-registry-server-hooks.5". */
static void
split_file_name(const struct manual_page *page, char name[MANUAL_TOPIC_MAX], const char **section)
{
    const char *rest = page->file + strlen(PREFIX);
    *section = strrchr(page->file, '.');
    if (*rest == '-')
        snprintf(name, MANUAL_TOPIC_MAX, "%.*s", (int)(*section - rest - 1), rest + 1);
    else
        snprintf(name, MANUAL_TOPIC_MAX, PROGRAM_TOPIC);
}

static bool
is_in_two_sections(const struct manual_page *page)
{
    size_t n = (size_t)(strrchr(page->file, '.') - page->file) + 1;
    for (size_t i = 0; i < manual_data_pages_n; i++)
        if (&manual_data_pages[i] != page && strncmp(manual_data_pages[i].file, page->file, n) == 0)
            return true;
    return false;
}

void
manual_topic(char topic[MANUAL_TOPIC_MAX], const struct manual_page *page)
{
    const char *section;
    split_file_name(page, topic, &section);
    if (strcmp(section, COMMAND_SECTION) != 0 && is_in_two_sections(page))
        snprintf(topic + strlen(topic), MANUAL_TOPIC_MAX - strlen(topic), "%s", section);
}

const struct manual_page *
manual_find(const char *topic)
{
    for (size_t i = 0; i < manual_data_pages_n; i++) {
        char name[MANUAL_TOPIC_MAX];
        const char *section;
        manual_topic(name, &manual_data_pages[i]);
        if (strcmp(topic, name) == 0)
            return &manual_data_pages[i];
        split_file_name(&manual_data_pages[i], name, &section);
        size_t n = strlen(name);
        if (strncmp(topic, name, n) == 0 && strcmp(topic + n, section) == 0)
            return &manual_data_pages[i];
    }
    return NULL;
}

struct bytes
manual_description(const struct manual_page *page)
{
    const char *name = strstr(page->text, NAME_HEADING);
    const char *dash = name != NULL ? strstr(name, NAME_DASH) : NULL;
    const char *text = dash != NULL ? dash + strlen(NAME_DASH) : "";
    return bytes_of(text, strcspn(text, "\n"));
}
