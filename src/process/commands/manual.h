#pragma once

#include "process/commands/manual_data.h"
#include "util/bytes.h"

/* The manual pages by topic. */

#define MANUAL_TOPIC_MAX 64

/* The topic of a page: its name without "docker-registry-server-", and "serve" for the page of the
 * program. If two sections have the topic, all but section 8 get their section: "hooks.5". */
void manual_topic(char topic[MANUAL_TOPIC_MAX], const struct manual_page *page);

/* The page of a topic, with or without its section. NULL: there is none. */
const struct manual_page *manual_find(const char *topic);

/* The description of a page, one line of its section NAME. */
struct bytes manual_description(const struct manual_page *page);
