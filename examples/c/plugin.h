/* What plugin_host.c and plugin.c know of each other; nothing of it is the library's. */
#ifndef EXAMPLE_PLUGIN_H
#define EXAMPLE_PLUGIN_H

#include <stddef.h>

/* What the host offers. Called on a thread of the plugin. */
struct plugin_host {
    void (*on_message)(const void *data, size_t len);
    void (*on_status)(const char *text);
};

/* What the plugin offers: 0 is success. A plugin whose stop fails must not be unloaded. */
typedef int (*plugin_start_fn)(const struct plugin_host *host);
typedef int (*plugin_stop_fn)(void);

#endif
