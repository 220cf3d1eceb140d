#pragma once

#include "protocol/http/call.h"

/* GET /v2/<name>/referrers/<digest>?artifactType=&n=&last=: an OCI index, empty if there are
 * none. */
call_handler v2_referrers_list;
