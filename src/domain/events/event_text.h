#pragma once

#include <stdint.h>
#include "storage/tables/record.h"
#include "util/buf.h"

/* Events as text, for people and for programs. docker-registry-server-hooks(5) and -api(7) document
 * both forms. */

/* The first 12 digits of the event's id, with which each line about it begins. */
#define EVENT_TEXT_ID 13
void event_text_id(char out[EVENT_TEXT_ID], const struct rec_event *e);

/* A line of the log on stdout, with its newline: "<id12> - tagged with <short name>". */
void event_text_log(struct buf *out, const struct rec_event *e);

/* A line of the event stream, without a newline: {"type":"tag","id":...}. */
void event_text_json(struct buf *out, uint32_t seq, const struct rec_event *e);

/* "tag" */
const char *event_text_type(enum event_type type);

/* The types that a listener wants: one bit each. */
#define EVENT_TEXT_ALL (~0u)
static inline unsigned
event_text_bit(enum event_type type)
{
    return 1u << type;
}
/* The names in ?type=. "index" is only the name of a hook: listeners are not told that event. */
#define EVENT_TEXT_TYPES "image, layer, verify, tag, untag, manifest, delete, damage"
/* The bit of a name; 0 if it is none of these. */
unsigned event_text_mask(const char *name);
