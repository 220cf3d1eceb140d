/* Functions that nobody may call here: no bounds, hidden state, or a shell. Included last. */
#undef sprintf /* a macro with clang and _FORTIFY_SOURCE */
#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol gets system popen strncpy strncat
