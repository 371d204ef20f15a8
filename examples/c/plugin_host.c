/*
 * A host that knows nothing of the library and loads plugin.so by dlopen. SIGHUP stops, unloads and loads the plugin
 * anew; SIGINT and SIGTERM end the host.
 *
 *   cc -pthread plugin_host.c -ldl -o plugin_host
 *   ./plugin_host ./plugin.so
 *
 * The plugin reads the environment: see settings.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "plugin.h"
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* On the plugin's thread; stdio has a lock of its own. */
static void on_message(const void *data, size_t len)
{
    printf("message  %.*s\n", (int)len, (const char *)data);
}

static void on_status(const char *text)
{
    printf("status   %s\n", text);
}

static const struct plugin_host host = {on_message, on_status};

struct plugin {
    void *handle;
    plugin_start_fn start;
    plugin_stop_fn stop;
};

/* The way from an object pointer to a function pointer that POSIX shows for dlsym. */
static int find(void *handle, const char *name, void *function)
{
    void *symbol = dlsym(handle, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL ? 0 : -1;
}

static int load(struct plugin *plugin, const char *path)
{
    plugin->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (plugin->handle == NULL || find(plugin->handle, "plugin_start", &plugin->start) != 0 ||
        find(plugin->handle, "plugin_stop", &plugin->stop) != 0) {
        fprintf(stderr, "%s\n", dlerror());
        return -1;
    }
    puts("loaded");
    return plugin->start(&host);
}

static int unload(struct plugin *plugin)
{
    int tries = 0;
    while (plugin->stop() != 0) /* a callback of ours has not returned within the plugin's five seconds */
        if (++tries == 3)
            return -1; /* better a plugin that stays than code that is gone while it runs */
    if (dlclose(plugin->handle) != 0) {
        fprintf(stderr, "%s\n", dlerror());
        return -1;
    }
    puts("unloaded");
    return 0;
}

int main(int argc, char **argv)
{
    struct plugin plugin;
    sigset_t signals;
    int number = SIGHUP;
    if (argc != 2) {
        fputs("usage: plugin_host PLUGIN\n", stderr);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    while (number == SIGHUP)
        if (load(&plugin, argv[1]) != 0 || sigwait(&signals, &number) != 0 || unload(&plugin) != 0)
            return 1;
    return 0;
}
