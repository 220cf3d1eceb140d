#ifndef DOMAIN_EVENTS_EVENT_TEXT_H
#define DOMAIN_EVENTS_EVENT_TEXT_H

#include <stdint.h>
#include "storage/tables/record.h"
#include "util/buf.h"

/* Events as people and programs read them; ../README, "Hooks" and "Events", documents both. */

/* The first 12 digits of the id: how each line about an event begins. */
#define EVENT_TEXT_ID 13
void event_text_id(char out[EVENT_TEXT_ID], const struct rec_event *e);

/* A line of the log on stdout, with its end: "<id12> - tagged with <short name>". */
void event_text_log(struct buf *out, const struct rec_event *e);

/* A line of the event stream, without its end: {"type":"tag","id":...}. */
void event_text_json(struct buf *out, uint32_t seq, const struct rec_event *e);

/* "tag" */
const char *event_text_type(enum event_type type);

/* Which types a listener wants: a bit for each. */
#define EVENT_TEXT_ALL (~0u)
static inline unsigned
event_text_bit(enum event_type type)
{
    return 1u << type;
}
/* The bit of a name that ?type= may have; 0 for what is none: nobody ever hears of it. index is a
 * hook's name, but no event's. */
unsigned event_text_mask(const char *name);

#endif
