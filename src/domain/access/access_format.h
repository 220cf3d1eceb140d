#pragma once

/* The layout of a compiled access table: a header, and behind it six arrays without gaps. All
 * integers are big-endian (util/pack.h).
 *
 *   users      sorted by name
 *   whos       of each user, the numbers that a rule for this user can have
 *   rules      by slot (access_name.h), and in each slot in the order of the file. The last slot
 *              is that of the rules without a triple
 *   slots      for each slot the number of its first rule; at the end, the number of all rules
 *   patterns   compiled
 *   names      of the users
 */

/* The most rules, so that a decision can mark on its stack which of them apply. */
#define ACCESS_FORMAT_RULES 20000

#define ACCESS_MAGIC "registry access 1" /* the version of all of this */
#define ACCESS_MAGIC_BYTES 20
#define ACCESS_SUM_BYTES 32 /* SHA-256 of all that follows it */

/* Offsets in the header. */
#define ACCESS_HEADER_SUM ACCESS_MAGIC_BYTES
#define ACCESS_HEADER_COUNTS (ACCESS_HEADER_SUM + ACCESS_SUM_BYTES)
#define ACCESS_HEADER_BYTES (ACCESS_HEADER_COUNTS + 8 * 4)

/* The counts in the header, in this order. */
enum access_count {
    ACCESS_COUNT_HAS_RULES,
    ACCESS_COUNT_WHO, /* numbers of those that rules are for */
    ACCESS_COUNT_SLOT_BITS,
    ACCESS_COUNT_USERS,
    ACCESS_COUNT_WHOS,
    ACCESS_COUNT_RULES,
    ACCESS_COUNT_PATTERNS, /* bytes */
    ACCESS_COUNT_NAMES,    /* bytes */
};

/* A user. */
#define ACCESS_USER_NAME_AT 0
#define ACCESS_USER_NAME_N 4
#define ACCESS_USER_KNOWN 8 /* 1: has a line in the password file, 0: is only named elsewhere */
#define ACCESS_USER_WHOS_AT 12
#define ACCESS_USER_WHOS_N 16
#define ACCESS_USER_EXPIRY 20 /* 8 bytes */
#define ACCESS_USER_STAMP 28
#define ACCESS_USER_BYTES (ACCESS_USER_STAMP + 16)

/* A rule. */
#define ACCESS_RULE_LINE 0
#define ACCESS_RULE_WHO 4
#define ACCESS_RULE_PATTERN_AT 8
#define ACCESS_RULE_PATTERN_N 12 /* 1 byte */
#define ACCESS_RULE_RIGHTS 13    /* 1 byte */
#define ACCESS_RULE_BYTES 16

/* Numbers of those that rules are for. */
#define ACCESS_WHO_ANONYMOUS 0
#define ACCESS_WHO_EVERY_USER 1
#define ACCESS_WHO_FIRST 2 /* of the users and groups that are named in rules */
