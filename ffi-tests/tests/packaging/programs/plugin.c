/* A plugin that uses the library, for host.c. */
#include "receive.h"

static gwa_client_t *client;

int plugin_begin(void);
int plugin_receive(unsigned long count);
int plugin_end(void);

int plugin_begin(void)
{
    return begin(&client);
}

int plugin_receive(unsigned long count)
{
    return receive(client, count);
}

/* What the host's promise to unload rests on: shut down, and nothing is left. */
int plugin_end(void)
{
    return end(client) || gwa_debug_live_objects() != 0;
}
