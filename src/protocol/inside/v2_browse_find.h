#ifndef PROTOCOL_INSIDE_V2_BROWSE_FIND_H
#define PROTOCOL_INSIDE_V2_BROWSE_FIND_H

#include "protocol/http/call.h"

/* GET /v2/<name>/_image/<tag or digest>/find?name=GLOB: entries by a pattern
 * (domain/inside/layer_find.h), a JSON array in the byte order of paths. ?n= so many at most
 * (PAGE_MAX), behind the path ?last=; a Link to the next ones. A page whose entries are very long
 * ends before its n. */
call_handler v2_browse_find;

#endif
