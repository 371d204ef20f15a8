/*
 * Two clients share one token: a token source makes one request for both, at the start and at every renewal. Each client
 * has a socket, a configuration and callbacks of its own; only what is about tokens belongs to the source.
 *
 *   cc -pthread two_clients.c $(pkg-config --cflags --libs genesys-ws-auth) -o two_clients
 *
 * Reads the environment: see settings.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "settings.h"
#include <genesys_ws_auth.h>
#include <signal.h>
#include <stdio.h>

/* Called for each client on a thread of its own; user_data says for which. */
static void on_message(void *user_data, const gwa_event_t *message)
{
    if (gwa_event_message_kind(message) == GWA_TEXT)
        printf("message  %s %s\n", (const char *)user_data, (const char *)gwa_event_data(message, NULL));
}

static void on_state(void *user_data, const gwa_event_t *event)
{
    if (gwa_event_kind(event) == GWA_EVENT_STATE)
        printf("state    %s %s (%s)\n", (const char *)user_data, gwa_state_name(gwa_event_state_to(event)),
               gwa_event_reason(event, NULL));
}

/* Of the source: told once, however many clients use the token. */
static void on_token(void *user_data, const gwa_token_t *token)
{
    (void)user_data;
    printf("token    good for %lu s\n", (unsigned long)(gwa_token_expires_in_ms(token) / 1000));
}

static gwa_status_t new_source(gwa_token_source_t **source, gwa_error_t **error)
{
    gwa_config_t *config = NULL;
    gwa_status_t status = gwa_config_new(&config);
    if (status == GWA_OK && (status = settings_from_env(config, error)) == GWA_OK &&
        (status = gwa_config_on_token(config, on_token, NULL, NULL)) == GWA_OK)
        status = gwa_token_source_new(config, source, error);
    gwa_config_free(config);
    return status;
}

static gwa_status_t new_client(char *name, gwa_token_source_t *source, gwa_client_t **client, gwa_error_t **error)
{
    gwa_config_t *config = NULL;
    gwa_status_t status = gwa_config_new(&config);
    if (status == GWA_OK && (status = settings_from_env(config, error)) == GWA_OK &&
        (status = gwa_config_on_message(config, on_message, name, NULL)) == GWA_OK &&
        (status = gwa_config_on_state(config, on_state, name, NULL)) == GWA_OK &&
        (status = gwa_client_new_with_source(config, source, client, error)) == GWA_OK)
        status = gwa_client_start(*client, error);
    gwa_config_free(config);
    return status;
}

int main(void)
{
    static char left[] = "left", right[] = "right";
    gwa_token_source_t *source = NULL;
    gwa_client_t *clients[2] = {NULL, NULL};
    gwa_error_t *error = NULL;
    gwa_status_t status;
    sigset_t ends;
    int number, i;
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    if ((status = new_source(&source, &error)) == GWA_OK &&
        (status = new_client(left, source, &clients[0], &error)) == GWA_OK)
        status = new_client(right, source, &clients[1], &error);
    if (gwa_token_source_free(source) != GWA_OK) /* the clients keep it; the last of them ends it */
        status = GWA_E_INTERNAL;
    if (status == GWA_OK)
        sigwait(&ends, &number);
    else
        fprintf(stderr, "%s\n", error != NULL ? gwa_error_message(error, NULL) : gwa_status_text(status));
    gwa_error_free(error);
    for (i = 0; i < 2; i++)
        if (gwa_client_free(clients[i]) != GWA_OK)
            status = GWA_DEFERRED;
    return status == GWA_OK ? 0 : 1;
}
