/* Functions that must not be used in this program: they check no bounds, hide state, or run a
 * shell. This header is included last. */
#undef sprintf /* clang with _FORTIFY_SOURCE has a macro of this name */
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol gets system popen strncpy strncat
