#pragma once

#include "domain/registry.h"
#include "storage/files/upload_dir.h"
#include "util/err.h"

/* Uploads that nobody ends. One that received nothing for --upload-expiry is ended. Clients that
 * are refused because of a fault of ours (S3 doesn't answer, for example) begin another upload, or
 * send the request once more, within seconds. If each of these uploads stayed for a day, the owner
 * would soon have as many as --max-uploads allows. So they expire a minute after the refusal. */

/* In a request that holds the upload, after such a fault. */
void upload_expiry_hasten(const struct registry *reg, struct upload_dir *dir);

/* Before a request's body, which may take long: an upload of this node that would expire within a
 * minute gets the time of one that received something now. */
void upload_expiry_put_off(const struct registry *reg, const char *id);

/* Ends what has expired, and removes files without an upload. Uploads of other nodes are left to
 * these, as long as they live; those that a request holds, to the next time. */
int upload_expiry_run(const struct registry *reg, struct err *err);
