/*
 * A plugin with the library inside, for a host that loads it by dlopen (plugin_host.c). The rules:
 *
 *   - Nothing is unloaded while the library works: plugin_stop says whether that is so.
 *   - It is linked -z nodelete: the code stays mapped, as a resolver stuck in getaddrinfo(3) may still need it.
 *   - Of the library nothing is visible outside, so that another plugin may bring another version of it.
 *
 *   cc -shared -fPIC -fvisibility=hidden plugin.c $(pkg-config --cflags --libs genesys-ws-auth-static) \
 *      -Wl,--exclude-libs,ALL -Wl,-z,nodelete -o plugin.so
 *
 * Reads the environment: see settings.h.
 */
#include "plugin.h"
#include "settings.h"
#include <genesys_ws_auth.h>

#define EXPORT __attribute__((visibility("default")))

static gwa_client_t *client;
static const struct plugin_host *host;

static void on_message(void *user_data, const gwa_event_t *message)
{
    size_t len;
    const void *data = gwa_event_data(message, &len);
    (void)user_data;
    host->on_message(data, len);
}

static void on_state(void *user_data, const gwa_event_t *event)
{
    (void)user_data;
    if (gwa_event_kind(event) == GWA_EVENT_STATE)
        host->on_status(gwa_state_name(gwa_event_state_to(event)));
}

EXPORT int plugin_start(const struct plugin_host *loaded_by)
{
    gwa_config_t *config = NULL;
    gwa_error_t *error = NULL;
    gwa_status_t status = GWA_CHECK_ABI();
    host = loaded_by;
    if (status == GWA_OK && (status = gwa_config_new(&config)) == GWA_OK &&
        (status = settings_from_env(config, &error)) == GWA_OK &&
        (status = gwa_config_on_message(config, on_message, NULL, NULL)) == GWA_OK &&
        (status = gwa_config_on_state(config, on_state, NULL, NULL)) == GWA_OK &&
        (status = gwa_client_new(config, &client, &error)) == GWA_OK)
        status = gwa_client_start(client, &error);
    gwa_config_free(config);
    if (status != GWA_OK)
        host->on_status(error != NULL ? gwa_error_message(error, NULL) : gwa_status_text(status));
    gwa_error_free(error);
    return status == GWA_OK ? 0 : -1;
}

/* 0: every thread is joined, no call comes any more, the host may dlclose. Else it has to call again, later. */
EXPORT int plugin_stop(void)
{
    gwa_status_t status = client != NULL ? gwa_client_shutdown(client, 5000, NULL, NULL) : GWA_OK;
    if (status == GWA_DEFERRED)
        return -1;
    status = gwa_client_free(client);
    client = NULL;
    return status == GWA_OK ? 0 : -1;
}
