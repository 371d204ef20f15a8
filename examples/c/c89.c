/*
 * Strict C89, nothing of POSIX, one thread: delivery = poll, so that no callback is needed. Connects, sends one message,
 * prints what happens, and ends on SIGINT or SIGTERM with a closing handshake.
 *
 *   cc -std=c89 -pedantic c89.c $(pkg-config --cflags --libs genesys-ws-auth) -o c89
 *
 * Reads the environment: see settings.h.
 */
#include "settings.h"
#include <genesys_ws_auth.h>
#include <signal.h>
#include <stdio.h>

static gwa_client_t *volatile interruptible;
static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
    gwa_client_interrupt(interruptible); /* the call that is made for signal handlers; harmless for NULL */
}

static void show(const gwa_event_t *event)
{
    size_t len;
    const char *data = (const char *)gwa_event_data(event, &len);
    if (data != NULL && gwa_event_message_kind(event) == GWA_TEXT)
        printf("message  %s\n", data);
    else if (data != NULL)
        printf("message  %lu bytes\n", (unsigned long)len);
    else if (gwa_event_kind(event) == GWA_EVENT_STATE)
        printf("state    %s (%s)\n", gwa_state_name(gwa_event_state_to(event)), gwa_event_reason(event, NULL));
    else if (gwa_event_kind(event) == GWA_EVENT_SENT)
        printf("sent     %lu: %s\n", (unsigned long)gwa_event_sent_id(event),
               gwa_status_name(gwa_event_outcome(event)));
    fflush(stdout);
}

/* Until a signal comes, or the client has given up. */
static gwa_status_t receive(gwa_client_t *client)
{
    gwa_event_t *event;
    gwa_status_t status = GWA_OK;
    while (!stop && (status = gwa_client_next_event(client, GWA_NO_LIMIT, &event)) == GWA_OK) {
        show(event);
        gwa_event_free(event);
    }
    return status == GWA_E_INTERRUPTED ? GWA_OK : status;
}

int main(void)
{
    gwa_config_t *config = NULL;
    gwa_client_t *client = NULL;
    gwa_error_t *error = NULL;
    gwa_status_t status = GWA_CHECK_ABI();
    if (status == GWA_OK && (status = gwa_config_new(&config)) == GWA_OK &&
        (status = settings_from_env(config, &error)) == GWA_OK &&
        (status = gwa_config_set(config, "delivery", "poll", &error)) == GWA_OK)
        status = gwa_client_new(config, &client, &error);
    gwa_config_free(config); /* the client has its copy; what is NULL is left alone */
    interruptible = client;
    if (signal(SIGINT, on_signal) == SIG_ERR || signal(SIGTERM, on_signal) == SIG_ERR)
        fputs("signals end this program without a closing handshake\n", stderr);
    if (status == GWA_OK)
        status = gwa_client_connect(client, 30000, &error);
    if (status == GWA_OK)
        status = gwa_client_send(client, "hello", 5, GWA_TEXT, NULL, &error);
    if (status == GWA_OK && (status = receive(client)) == GWA_OK)
        status = gwa_client_shutdown(client, 5000, NULL, &error);
    if (status != GWA_OK)
        fprintf(stderr, "%s\n%s\n", error != NULL ? gwa_error_message(error, NULL) : gwa_status_text(status),
                error != NULL ? gwa_error_hint(error, NULL) : "");
    gwa_error_free(error);
    interruptible = NULL;
    if (gwa_client_free(client) != GWA_OK || status != GWA_OK)
        return EXIT_FAILURE;
    puts("closed");
    return EXIT_SUCCESS;
}
