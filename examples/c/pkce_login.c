/*
 * Signs a user in from a desktop program (RFC 8252): a public client, which has no secret, PKCE, and the browser. Prints the
 * URL to open (xdg-open); the library listens on this machine for the browser to come back. Then shows the states, when the
 * user's token ends, and events of the topics given. SIGINT and SIGTERM end it.
 *   cc pkce_login.c $(pkg-config --cflags --libs genesys-ws-auth) -o pkce_login
 *   GENESYS_REGION=mypurecloud.de GENESYS_CLIENT_ID=... ./pkce_login http://127.0.0.1:8137/callback v2.users.ID.presence
 * The first is a redirect URI of the OAuth client; with port 0, any that is free. Environment: settings.h, GWA_AUTHORIZE_URL.
 */
#define _POSIX_C_SOURCE 200809L
#include "settings.h"
#include <genesys_ws_auth.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static gwa_client_t *volatile interruptible;
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    stop = number;
    gwa_client_interrupt(interruptible);
}

static void ask(const gwa_event_t *event)
{
    gwa_request_t *request;
    if (gwa_event_request(event, &request) != GWA_OK)
        return;
    if (gwa_request_kind(request) == GWA_REQUEST_AUTHORIZATION_CODE)
        printf("open     %s\n", gwa_request_authorize_url(request, NULL));
    else if (gwa_request_kind(request) == GWA_REQUEST_PERSIST_REFRESH_TOKEN)
        gwa_request_complete(request, NULL, 0, 0); /* here it lives as long as the program: see persist_refresh_token.c */
    gwa_request_free(request); /* the listener answers the question of a code */
}

static void take(const gwa_event_t *event)
{
    const gwa_token_t *token = gwa_event_token(event);
    char text[32];
    time_t end;
    size_t i;
    if (gwa_event_kind(event) == GWA_EVENT_REQUEST)
        ask(event);
    else if (token != NULL) {
        end = (time_t)((gwa_token_granted_at_ms(token) + gwa_token_expires_in_ms(token)) / 1000);
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", localtime(&end));
        printf("token    until %s\n", text);
    } else if (gwa_event_kind(event) == GWA_EVENT_STATE)
        printf("state    %s (%s)\n", gwa_state_name(gwa_event_state_to(event)), gwa_event_reason(event, NULL));
    for (i = 0; i < gwa_event_topic_count(event); i++)
        printf("topic    %s %s\n", gwa_event_topic(event, i, NULL),
               gwa_event_topic_state(event, i) == GWA_TOPIC_PERMITTED ? "permitted" : "rejected");
    if (gwa_event_message_kind(event) == GWA_TEXT)
        printf("message  %s\n", (const char *)gwa_event_data(event, NULL));
}

int main(int argc, char **argv)
{
    const char *const keys[][2] = {{"profile", "notifications"}, {"ws.url", ""}, {"client.authentication", "none"},
                                   {"token.grant", "authorization_code"}, {"delivery", "poll"},
                                   {"token.redirect_uri", argc > 1 ? argv[1] : "http://127.0.0.1:8137/callback"},
                                   {"token.redirect_listener", "true"},
                                   {"token.authorize_url", getenv("GWA_AUTHORIZE_URL")}};
    gwa_config_t *config = NULL;
    gwa_client_t *client = NULL;
    gwa_error_t *error = NULL;
    gwa_event_t *event;
    gwa_status_t status = gwa_config_new(&config);
    size_t i;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (status == GWA_OK)
        status = settings_from_env(config, &error);
    for (i = 0; status == GWA_OK && i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i][1] != NULL)
            status = gwa_config_set(config, keys[i][0], keys[i][1], &error);
    if (status == GWA_OK)
        status = gwa_client_new(config, &client, &error);
    gwa_config_free(config);
    if (argc <= 2) /* which topics a user has is for the REST API to say */
        puts("topics   none are given: only states and the token are shown");
    else if (status == GWA_OK)
        status = gwa_client_subscribe(client, (const char *const *)argv + 2, (size_t)(argc - 2), NULL, 0, &error);
    interruptible = client;
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    if (status == GWA_OK)
        status = gwa_client_start(client, &error);
    while (status == GWA_OK && !stop && (status = gwa_client_next_event(client, GWA_NO_LIMIT, &event)) == GWA_OK) {
        take(event);
        gwa_event_free(event);
    }
    if (status != GWA_OK && status != GWA_E_INTERRUPTED)
        fprintf(stderr, "%s\n", error != NULL ? gwa_error_message(error, NULL) : gwa_status_text(status));
    gwa_error_free(error);
    interruptible = NULL;
    return gwa_client_free(client) == GWA_OK && stop ? 0 : 1;
}
