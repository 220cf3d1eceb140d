#pragma once

#include "protocol/http/call.h"

/* /v1/repositories, docker registry API v1 and docker hub API. A repository exists here when a tag
 * of it names an image. */

/* GET /v1/repositories: all tags of all repositories, an object of "name" or "name:tag" to id. */
call_handler v1_repositories_list;

/* PUT .../<name>: a push begins, with a list of ids. The images themselves come by other requests,
 * so it is enough that the list is well-formed. */
call_handler v1_repositories_begin;
/* PUT .../<name>/images: the push ended. Whatever the list says, nothing is removed. */
call_handler v1_repositories_finish;

/* GET .../<name>/images: the ids of all images that the tags lead to. */
call_handler v1_repositories_images;
/* DELETE .../<name>/images: 204 without any effect, as in docker's own registry. */
call_handler v1_repositories_unlist;
/* DELETE .../<name>, and .../<name>/tags: deletes all of its tags. */
call_handler v1_repositories_delete;
/* PUT .../<name>/auth: docker's own registry made a token here; this one does it by headers. */
call_handler v1_repositories_auth;
