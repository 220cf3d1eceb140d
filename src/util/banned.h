/* Functions that must not be used in this program: they check no bounds, hide state, or run a
 * shell. The compiler includes this header before each source (Makefile.am). The headers that
 * declare these functions must come first, so no source includes them again. */

#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef sprintf /* clang with _FORTIFY_SOURCE has a macro of this name */
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol gets system popen strncpy strncat
