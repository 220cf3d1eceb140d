#ifndef PROTOCOL_V2_V2_REFERRERS_H
#define PROTOCOL_V2_V2_REFERRERS_H

#include "protocol/http/call.h"

/* GET /v2/<name>/referrers/<digest>?artifactType=&n=&last=: an OCI index, empty if there are
 * none. */
call_handler v2_referrers_list;

#endif
