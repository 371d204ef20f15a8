/*
 * In a libuv loop: the library's descriptor is watched by a uv_poll_t beside a timer and the signals. Nothing
 * blocks.
 *
 *   cc uv_loop.c $(pkg-config --cflags --libs genesys-ws-auth libuv) -o uv_loop
 *
 * Reads the environment: see settings.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "settings.h"
#include <genesys_ws_auth.h>
#include <signal.h>
#include <stdio.h>
#include <uv.h>

struct program {
    gwa_client_t *client;
    gwa_status_t status; /* GWA_E_CLOSED: ended as it should */
    uv_poll_t events;
    uv_signal_t signals[2];
};

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

/* One event a turn is enough: the descriptor stays readable while there are more. */
static void on_readable(uv_poll_t *handle, int failed, int events)
{
    struct program *self = handle->data;
    gwa_event_t *event;
    (void)events;
    self->status = failed ? GWA_E_INTERNAL : gwa_client_next_event(self->client, 0, &event);
    if (self->status == GWA_OK) {
        if (gwa_event_kind(event) == GWA_EVENT_STATE)
            printf("state    %s (%s)\n", gwa_state_name(gwa_event_state_to(event)), gwa_event_reason(event, NULL));
        else if (gwa_event_message_kind(event) == GWA_TEXT)
            printf("message  %s\n", (const char *)gwa_event_data(event, NULL));
        gwa_event_free(event);
    } else if (self->status != GWA_E_TIMEOUT) /* GWA_E_CLOSED: the last event after a shutdown was taken */
        uv_stop(handle->loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    gwa_client_shutdown(((struct program *)handle->data)->client, 0, NULL, NULL); /* does not wait */
}

static int watch(struct program *self, uv_loop_t *loop)
{
    self->events.data = self->signals[0].data = self->signals[1].data = self;
    return uv_poll_init(loop, &self->events, gwa_client_event_fd(self->client)) ||
           uv_poll_start(&self->events, UV_READABLE, on_readable) || uv_signal_init(loop, &self->signals[0]) ||
           uv_signal_start(&self->signals[0], on_signal, SIGINT) || uv_signal_init(loop, &self->signals[1]) ||
           uv_signal_start(&self->signals[1], on_signal, SIGTERM);
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    uv_close(handle, NULL);
}

int main(void)
{
    static struct program self;
    gwa_error_t *error = NULL;
    uv_loop_t loop;
    if (uv_loop_init(&loop) != 0)
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    self.status = make(&self.client, &error);
    if (self.status == GWA_OK)
        self.status = watch(&self, &loop) == 0 ? gwa_client_start(self.client, &error) : GWA_E_INTERNAL;
    if (self.status == GWA_OK)
        uv_run(&loop, UV_RUN_DEFAULT);
    if (self.status != GWA_E_CLOSED)
        fprintf(stderr, "%s\n", error != NULL ? gwa_error_message(error, NULL) : gwa_status_text(self.status));
    gwa_error_free(error);
    uv_walk(&loop, close_handle, NULL); /* the watcher goes before its descriptor */
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    if (gwa_client_free(self.client) != GWA_OK || self.status != GWA_E_CLOSED)
        return 1;
    return puts("closed") < 0;
}
