/*
 * A host that is linked to nothing but libc: loads the plugin of argument 1, uses it and unloads it, as often as argument 2
 * says. Argument 3, if given, is a plugin with another copy of the library, whose client lives through all of it.
 *
 * Each use is on a thread of its own that has ended before the plugin is unloaded: a living one that has used Rust's thread
 * locals would keep the library in memory by itself.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct plugin {
    void *handle;
    int (*begin)(void);
    int (*receive)(unsigned long count);
    int (*end)(void);
};

static int load(const char *path, struct plugin *plugin)
{
    plugin->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (plugin->handle == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    *(void **)&plugin->begin = dlsym(plugin->handle, "plugin_begin");
    *(void **)&plugin->receive = dlsym(plugin->handle, "plugin_receive");
    *(void **)&plugin->end = dlsym(plugin->handle, "plugin_end");
    return !plugin->begin || !plugin->receive || !plugin->end;
}

static void *use(void *given)
{
    struct plugin *plugin = (struct plugin *)given;
    return plugin->begin() || plugin->receive(2) || plugin->end() ? plugin : NULL;
}

static int use_on_a_thread(struct plugin *plugin)
{
    pthread_t thread;
    void *failed = plugin;
    return pthread_create(&thread, NULL, use, plugin) != 0 || pthread_join(thread, &failed) != 0 || failed != NULL;
}

/* Whether the library's code is still where threads and destructors may need it, after dlclose. */
static int resident(const char *path)
{
    void *handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    return handle != NULL && dlclose(handle) == 0;
}

int main(int argc, char **argv)
{
    struct plugin plugin, other;
    long round, rounds = argc > 2 ? atol(argv[2]) : 0;
    if (argc > 3 && (load(argv[3], &other) || other.begin() || other.receive(1)))
        return 1;
    for (round = 0; round < rounds; round++) {
        if (load(argv[1], &plugin) || use_on_a_thread(&plugin))
            return 2;
        if (argc > 3 && other.receive(1))
            return 3;
        if (dlclose(plugin.handle) != 0)
            return 4;
    }
    if (argc > 3 && (other.receive(5) || other.end() || dlclose(other.handle) != 0))
        return 5;
    printf("rounds=%ld\nresident=%d\n", round, resident(getenv("GWA_TEST_RESIDENT")));
    return rounds < 1;
}
