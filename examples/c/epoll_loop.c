/*
 * In the application's own epoll loop: delivery = poll, one descriptor of the library beside the program's own (here a signalfd).
 * Nothing blocks: the client is started, not connected, and ended by a shutdown that does not wait. Tokens are renewed
 * by the library's own threads, however busy the loop is.
 *
 *   cc epoll_loop.c $(pkg-config --cflags --libs genesys-ws-auth) -o epoll_loop
 *
 * Reads the environment: see settings.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "settings.h"
#include <errno.h>
#include <genesys_ws_auth.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

static gwa_status_t make(gwa_client_t **client, gwa_error_t **error)
{
    gwa_config_t *config = NULL;
    gwa_status_t status = gwa_config_new(&config);
    if (status == GWA_OK && (status = settings_from_env(config, error)) == GWA_OK &&
        (status = gwa_config_set(config, "delivery", "poll", error)) == GWA_OK)
        status = gwa_client_new(config, client, error);
    gwa_config_free(config);
    return status;
}

/* A few events a turn, so that the other descriptors get theirs; what is left keeps the descriptor readable. */
static gwa_status_t take(gwa_client_t *client)
{
    gwa_event_t *event;
    gwa_status_t status = GWA_OK;
    for (int i = 0; i < 64 && (status = gwa_client_next_event(client, 0, &event)) == GWA_OK; i++) {
        if (gwa_event_kind(event) == GWA_EVENT_STATE)
            printf("state    %s (%s)\n", gwa_state_name(gwa_event_state_to(event)), gwa_event_reason(event, NULL));
        else if (gwa_event_message_kind(event) == GWA_TEXT)
            printf("message  %s\n", (const char *)gwa_event_data(event, NULL));
        gwa_event_free(event);
    }
    return status == GWA_E_TIMEOUT ? GWA_OK : status; /* no more for now */
}

/* Until the last event is taken after a shutdown, or something has failed. */
static gwa_status_t run(gwa_client_t *client, int loop, int signals)
{
    struct epoll_event ready;
    struct signalfd_siginfo signal_taken;
    gwa_status_t status = GWA_OK;
    while (status == GWA_OK || status == GWA_DEFERRED) {
        int count = epoll_wait(loop, &ready, 1, -1);
        if (count < 0 && errno != EINTR)
            return GWA_E_INTERNAL;
        if (count > 0 && ready.data.fd != signals)
            status = take(client);
        else if (count > 0 && read(signals, &signal_taken, sizeof signal_taken) > 0)
            status = gwa_client_shutdown(client, 0, NULL, NULL); /* what is left comes as events, then GWA_E_CLOSED */
    }
    return status == GWA_E_CLOSED ? GWA_OK : status;
}

static int watch(int loop, int descriptor)
{
    struct epoll_event readable = {.events = EPOLLIN, .data = {.fd = descriptor}};
    return epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &readable);
}

int main(void)
{
    gwa_client_t *client = NULL;
    gwa_error_t *error = NULL;
    gwa_status_t status = make(&client, &error);
    sigset_t set;
    int signals, loop = epoll_create1(EPOLL_CLOEXEC);
    setvbuf(stdout, NULL, _IOLBF, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL); /* the library's threads block them anyway */
    signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (status == GWA_OK && (watch(loop, signals) != 0 || watch(loop, gwa_client_event_fd(client)) != 0)) {
        perror("epoll_ctl");
        status = GWA_E_INTERNAL;
    }
    if (status == GWA_OK && (status = gwa_client_start(client, &error)) == GWA_OK)
        status = run(client, loop, signals);
    if (status != GWA_OK)
        fprintf(stderr, "%s\n", error != NULL ? gwa_error_message(error, NULL) : gwa_status_text(status));
    gwa_error_free(error);
    if (gwa_client_free(client) != GWA_OK || status != GWA_OK)
        return 1;
    close(signals);
    close(loop);
    return puts("closed") < 0;
}
