#pragma once

#include "protocol/http/call.h"

/* /v1/repositories, docker registry API v1 and docker hub API. A repository exists here when a tag
 * of it names an image. */

/* GET /v1/repositories: all tags of all repositories, an object of "name" or "name:tag" to id. */
call_handler v1_repositories_list;

/* PUT .../<name>: a push begins. The body, a list of ids, must be well-formed, and is not used: the
 * images themselves come by other requests. */
call_handler v1_repositories_begin;
/* PUT .../<name>/images: the push has ended. The body is checked as above; nothing is removed. */
call_handler v1_repositories_finish;

/* GET .../<name>/images: the ids of all images that the tags lead to. */
call_handler v1_repositories_images;
/* DELETE .../<name>/images: 204 without any effect, as in docker's own registry. */
call_handler v1_repositories_unlist;
/* DELETE .../<name>, and .../<name>/tags: deletes all of its tags. */
call_handler v1_repositories_delete;
/* PUT .../<name>/auth: docker's own registry makes a token here; this one uses headers instead. */
call_handler v1_repositories_auth;
