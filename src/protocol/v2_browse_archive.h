#ifndef PROTOCOL_V2_BROWSE_ARCHIVE_H
#define PROTOCOL_V2_BROWSE_ARCHIVE_H

#include "protocol/call.h"

/* GET /v2/<name>/_image/<tag or digest>/archive[/<path>]: a directory, or one thing else, as a tar,
 * made while it is sent (domain/layer_archive.h). */
call_handler v2_browse_archive;

#endif
