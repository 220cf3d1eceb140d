#ifndef PROTOCOL_V2_V2_CATALOG_H
#define PROTOCOL_V2_V2_CATALOG_H

#include "protocol/http/call.h"

/* GET /v2/_catalog?n=&last= (docker's registry API v2, "Listing Repositories") */
call_handler v2_catalog_list;

#endif
