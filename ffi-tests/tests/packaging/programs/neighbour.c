/* Two Rust static libraries in one program: each catches its own panics, before, while and after the other works. */
#define _GNU_SOURCE
#include "panic.h"

int neighbour_catches(void);

int main(void)
{
    gwa_client_t *client = NULL;
    if (!neighbour_catches() || !panic_is_caught())
        return 1;
    if (begin(&client) || !neighbour_catches() || receive(client, 5) || end(client))
        return 2;
    return !panic_is_caught() || !neighbour_catches();
}
