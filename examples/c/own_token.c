/*
 * Tokens of the application's own (token.grant = application): a command prints one, and below it the seconds it still
 * lives. This process holds no client secret. The command may take its time: it runs on a thread of the program's.
 *   cc -pthread own_token.c $(pkg-config --cflags --libs genesys-ws-auth) -o own_token
 *   ./own_token 'vault read -field=token genesys/recorder'
 *
 * Reads the environment: see settings.h.
 */
#define _GNU_SOURCE /* explicit_bzero, pipe2 */
#include "settings.h"
#include <fcntl.h>
#include <genesys_ws_auth.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static gwa_client_t *volatile interruptible;
static volatile sig_atomic_t stop;
static int questions[2]; /* a pipe of request handles */

static void on_signal(int number)
{
    stop = number;
    gwa_client_interrupt(interruptible);
}

static void answer(gwa_request_t *request, const char *command)
{
    char token[16384] = "", seconds[24] = "";
    FILE *output = popen(command, "r");
    int printed = 0;
    if (output != NULL) {
        setvbuf(output, NULL, _IONBF, 0); /* no copy of the token is left behind */
        printed = fgets(token, sizeof token, output) != NULL;
        if (printed && fgets(seconds, sizeof seconds, output) == NULL)
            seconds[0] = 0; /* then the library looks into the token */
        printed = pclose(output) == 0 && printed;
    }
    /* Too late does no harm: handles are checked. */
    if (!printed || gwa_request_complete(request, token, strcspn(token, "\r\n"), strtoul(seconds, NULL, 10) * 1000))
        gwa_request_fail(request, GWA_E_CALLBACK_FAILED, "the command has printed no token");
    explicit_bzero(token, sizeof token);
}

static void *provider(void *command)
{
    gwa_request_t *request;
    while (read(questions[0], &request, sizeof request) == (ssize_t)sizeof request)
        answer(request, command);
    return NULL;
}

static void take(const gwa_event_t *event)
{
    gwa_request_t *request;
    if (gwa_event_request_kind(event) == GWA_REQUEST_TOKEN && gwa_event_request(event, &request) == GWA_OK) {
        if (write(questions[1], &request, sizeof request) != (ssize_t)sizeof request)
            gwa_request_fail(request, GWA_E_CALLBACK_FAILED, "the provider is gone");
    } else if (gwa_event_kind(event) == GWA_EVENT_STATE)
        printf("state    %s (%s)\n", gwa_state_name(gwa_event_state_to(event)), gwa_event_reason(event, NULL));
    else if (gwa_event_message_kind(event) == GWA_TEXT)
        printf("message  %s\n", (const char *)gwa_event_data(event, NULL));
}

int main(int argc, char **argv)
{
    gwa_config_t *config = NULL;
    gwa_client_t *client = NULL;
    gwa_error_t *error = NULL;
    gwa_event_t *event;
    gwa_status_t status = gwa_config_new(&config);
    pthread_t thread;
    if (argc != 2 || pipe2(questions, O_CLOEXEC) != 0 || pthread_create(&thread, NULL, provider, argv[1]) != 0)
        return fputs("usage: own_token COMMAND\n", stderr), 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (status == GWA_OK && (status = settings_from_env(config, &error)) == GWA_OK &&
        (status = gwa_config_set(config, "token.grant", "application", &error)) == GWA_OK &&
        (status = gwa_config_set(config, "delivery", "poll", &error)) == GWA_OK)
        status = gwa_client_new(config, &client, &error);
    gwa_config_free(config);
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
    status = gwa_client_free(client);
    close(questions[1]);
    return pthread_join(thread, NULL) == 0 && status == GWA_OK && stop ? 0 : 1;
}
