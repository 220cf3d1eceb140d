#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

/* Makes valid UTF-8 (RFC 3629) of what may be any bytes: each that belongs to no character becomes
 * a question mark. */
void utf8_mend(char *text);

#endif
