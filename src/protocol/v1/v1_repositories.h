#ifndef PROTOCOL_V1_V1_REPOSITORIES_H
#define PROTOCOL_V1_V1_REPOSITORIES_H

#include "protocol/http/call.h"

/* /v1/repositories, docker registry API v1 and docker hub API. A repository is there when a tag of
 * it names an image. */

/* GET /v1/repositories: all tags of all repositories, an object of "name" or "name:tag" to id. */
call_handler v1_repositories_list;

/* PUT .../<name>: a push begins, with a list of ids. What it is to bring comes by itself, so that
 * the list is well-formed is all that matters. */
call_handler v1_repositories_begin;
/* PUT .../<name>/images: it ended. Whatever the list says, nothing is taken away. */
call_handler v1_repositories_finish;

/* GET .../<name>/images: the ids of all images that the tags lead to. */
call_handler v1_repositories_images;
/* DELETE .../<name>/images: 204, and does nothing, as in docker's own registry. */
call_handler v1_repositories_unlist;
/* DELETE .../<name>, and .../<name>/tags: all of its tags. */
call_handler v1_repositories_delete;
/* PUT .../<name>/auth: what docker's own registry had for a token is done by headers here. */
call_handler v1_repositories_auth;

#endif
