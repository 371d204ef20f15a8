/*
 * Metrics for Prometheus by the textfile collector of node_exporter: every METRICS_SECONDS (15) the file METRICS_FILE, whose
 * name ends with .prom, is replaced as a whole, so that it is never read half-written. Lives until SIGTERM or SIGINT.
 *
 *   cc metrics_to_textfile.c $(pkg-config --cflags --libs genesys-ws-auth) -o metrics_to_textfile
 *   METRICS_FILE=/var/lib/node_exporter/recorder.prom ./metrics_to_textfile
 *
 * The collector reads Prometheus's older format; an HTTP server of your own answers with GWA_STATS_OPENMETRICS instead. How
 * old the file is, it says itself (node_textfile_mtime_seconds). Reads the environment: see settings.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "number.h"
#include "settings.h"
#include <errno.h>
#include <fcntl.h>
#include <genesys_ws_auth.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/*
 * Writes a file beside it, and gives that its name: one of our own, not what somebody else has put or linked there. No fsync:
 * after a loss of power the numbers begin anew anyway.
 */
static int replace(const char *path, const char *data, size_t size)
{
    char beside[4096];
    ssize_t n = 0;
    int fd, failed;
    snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid());
    unlink(beside); /* a process of this number that was killed may have left it */
    if ((fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)) < 0)
        return 1;
    while (size > 0 && (n = write(fd, data, size)) > 0)
        data += n, size -= (size_t)n;
    failed = size > 0;
    failed = close(fd) != 0 || failed || rename(beside, path) != 0;
    if (failed)
        unlink(beside);
    return failed;
}

/* All clients of the process in one text: the names are values of the label "client", and stay what they are for good. */
static void publish(gwa_client_t *client, const char *path)
{
    static const char *const names[] = {"recorder"};
    gwa_client_t *const clients[] = {client};
    gwa_text_t *text = NULL;
    size_t size = 0;
    const char *data;
    gwa_status_t status = gwa_metrics_text(clients, names, 1, GWA_STATS_PROMETHEUS, &text);
    if (status != GWA_OK) {
        fprintf(stderr, "%s: %s\n", path, gwa_status_text(status));
        return;
    }
    data = gwa_text_data(text, &size);
    if (replace(path, data, size))
        perror(path);
    gwa_text_free(text);
}

static gwa_status_t make(gwa_client_t **client, gwa_error_t **error)
{
    gwa_config_t *config = NULL;
    gwa_status_t status = gwa_config_new(&config);
    if (status == GWA_OK && (status = settings_from_env(config, error)) == GWA_OK)
        status = gwa_client_new(config, client, error);
    gwa_config_free(config);
    return status;
}

int main(void)
{
    const char *path = getenv("METRICS_FILE") != NULL ? getenv("METRICS_FILE") : "genesys_ws_auth.prom";
    const struct timespec period = {number_from_env("METRICS_SECONDS", 15), 0};
    gwa_client_t *client = NULL;
    gwa_error_t *error = NULL;
    gwa_status_t status = make(&client, &error);
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    if (status == GWA_OK && (status = gwa_client_start(client, &error)) == GWA_OK) {
        do
            publish(client, path);
        while (sigtimedwait(&ends, NULL, &period) < 0 && (errno == EAGAIN || errno == EINTR));
        status = gwa_client_shutdown(client, 5000, NULL, &error);
        publish(client, path); /* the last numbers: Closed */
    }
    if (status != GWA_OK)
        fprintf(stderr, "%s\n", error != NULL ? gwa_error_message(error, NULL) : gwa_status_text(status));
    gwa_error_free(error);
    return gwa_client_free(client) == GWA_OK && status == GWA_OK ? 0 : 1;
}
