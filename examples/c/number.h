/*
 * Numbers from the environment, for the examples. One that cannot be read ends the program: a bound that is guessed, as 1 of
 * "1e7", would throw audit records away, and a period of 0 would be a busy loop.
 */
#ifndef EXAMPLE_NUMBER_H
#define EXAMPLE_NUMBER_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* A whole number above 0; what it is without the variable, otherwise. */
static long number_from_env(const char *name, long otherwise)
{
    const char *text = getenv(name);
    char *end = NULL;
    long number = otherwise;
    errno = 0;
    if (text != NULL && ((number = strtol(text, &end, 10)) <= 0 || errno != 0 || *end != '\0')) {
        fprintf(stderr, "%s: a whole number above 0 is needed, not \"%s\"\n", name, text);
        exit(2);
    }
    return number;
}

#endif
