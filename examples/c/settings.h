/*
 * Settings from the environment, for the examples: GENESYS_REGION, GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET and
 * GENESYS_REFRESH_TOKEN, for an organisation in Genesys Cloud GWA_PROFILE=notifications with GWA_TOPICS (blanks
 * between them), GWA_PROXY where there is one, and what the simulator needs beside them: GWA_TOKEN_URL, GWA_WS_URL and
 * GWA_CA_FILE, with that profile GWA_API_URL and GWA_STREAMING_HOST. A chain of audit records: GWA_CHAIN_STATE, a path, and
 * at the first start GWA_CHAIN_KEY.
 */
#ifndef EXAMPLE_SETTINGS_H
#define EXAMPLE_SETTINGS_H

#include <genesys_ws_auth.h>
#include <stdlib.h>
#include <string.h>

static gwa_status_t settings_from_env(gwa_config_t *config, gwa_error_t **error)
{
    static const char *const given[9][2] = {
        {"GWA_TOKEN_URL", "token.url"}, {"GWA_WS_URL", "ws.url"}, {"GWA_CA_FILE", "tls.ca_file"},
        {"GWA_API_URL", "api.url"}, {"GWA_STREAMING_HOST", "notifications.streaming_host"},
        {"GWA_PROFILE", "profile"}, {"GWA_TOPICS", "notifications.topics"}, {"GWA_PROXY", "proxy"},
        {"GWA_CHAIN_STATE", "audit.chain_state"}};
    const char *key = getenv("GWA_CHAIN_KEY");
    gwa_status_t status = gwa_config_set_from_env(config, error);
    int i;
    for (i = 0; status == GWA_OK && i < 9; i++)
        if (getenv(given[i][0]) != NULL)
            status = gwa_config_set(config, given[i][1], getenv(given[i][0]), error);
    if (status == GWA_OK && key != NULL)
        status = gwa_config_set_secret(config, "audit.chain_key", key, strlen(key), error);
    return status;
}

#endif
