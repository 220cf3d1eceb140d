#pragma once

#include "protocol/http/call.h"

/* GET /v2/_catalog?n=&last= (docker's registry API v2, "Listing Repositories") */
call_handler v2_catalog_list;
/* GET /v2/_repositories?n=&last=&name=&prefix= */
call_handler v2_catalog_repositories;
