/*
 * What the programs of this directory share: a client in poll mode that receives. It knows nothing but the installed
 * header, and is valid C99 and C++98. Functions return 0 when all is well.
 */
#ifndef RECEIVE_H
#define RECEIVE_H

#include <genesys_ws_auth.h>
#include <stdio.h>
#include <stdlib.h>

#define WAIT_MS 60000u

static inline int failed(const char *what, gwa_status_t status, gwa_error_t *error)
{
    fprintf(stderr, "%s: %s %s\n", what, gwa_status_name(status), error ? gwa_error_message(error, NULL) : "");
    gwa_error_free(error);
    return 1;
}

/* A live client of the simulator that the environment names. */
static inline int begin(gwa_client_t **client)
{
    static const char *const given[][2] = {
        {"GWA_TOKEN_URL", "token.url"}, {"GWA_WS_URL", "ws.url"}, {"GWA_CA_FILE", "tls.ca_file"}};
    gwa_config_t *config = NULL;
    gwa_error_t *error = NULL;
    gwa_status_t status = GWA_CHECK_ABI();
    size_t i;
    if (status == GWA_OK)
        status = gwa_config_new(&config);
    for (i = 0; status == GWA_OK && i < sizeof given / sizeof given[0]; i++)
        status = gwa_config_set(config, given[i][1], getenv(given[i][0]), &error);
    if (status == GWA_OK)
        status = gwa_config_set_from_env(config, &error);
    if (status == GWA_OK)
        status = gwa_config_set(config, "delivery", "poll", &error);
    if (status == GWA_OK)
        status = gwa_client_new(config, client, &error);
    gwa_config_free(config);
    if (status == GWA_OK)
        status = gwa_client_connect(*client, WAIT_MS, &error);
    return status == GWA_OK ? 0 : failed("begin", status, error);
}

/* Receives so many messages, without a gap. */
static inline int receive(gwa_client_t *client, unsigned long count)
{
    unsigned long messages = 0;
    while (messages < count) {
        gwa_event_t *event = NULL;
        gwa_status_t status = gwa_client_next_event(client, WAIT_MS, &event);
        if (status != GWA_OK)
            return failed("receive", status, NULL);
        messages += gwa_event_kind(event) == GWA_EVENT_MESSAGE;
        if (gwa_event_kind(event) == GWA_EVENT_GAP_BEGIN)
            return failed("gap", gwa_event_outcome(event), NULL);
        gwa_event_free(event);
    }
    return 0;
}

/* Shuts the client down, completely. */
static inline int end(gwa_client_t *client)
{
    gwa_error_t *error = NULL;
    gwa_status_t status = gwa_client_shutdown(client, WAIT_MS, NULL, &error);
    if (status != GWA_OK)
        return failed("end", status, error);
    status = gwa_client_free(client);
    return status == GWA_OK ? 0 : failed("free", status, NULL);
}

/* All of it, once. */
static inline int session(unsigned long count)
{
    gwa_client_t *client = NULL;
    return begin(&client) || receive(client, count) || end(client);
}

#endif
