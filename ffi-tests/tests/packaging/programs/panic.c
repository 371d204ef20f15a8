/* A panic is caught, and the library goes on working: argument 1 is a number of messages to receive afterwards. */
#define _GNU_SOURCE
#include "panic.h"

int main(int argc, char **argv)
{
    if (argc != 2 || !panic_is_caught())
        return 1;
    return session(strtoul(argv[1], NULL, 10)) || !panic_is_caught();
}
