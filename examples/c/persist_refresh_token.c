/*
 * Keeps the refresh token in a directory: at start the stored one goes before that of the environment, and each new one is
 * stored (fsync, rename) before its access token is used. token.store has the library do it; this is for other places.
 *
 *   cc persist_refresh_token.c $(pkg-config --cflags --libs genesys-ws-auth) -o persist_refresh_token
 *   ./persist_refresh_token /var/lib/recorder
 *
 * Reads the environment: see settings.h. One process a directory: a refresh token has one user.
 */
#define _DEFAULT_SOURCE
#include "settings.h"
#include <errno.h>
#include <fcntl.h>
#include <genesys_ws_auth.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int folder; /* of refresh_token */

/* 0 or errno. The file holds the old token or the new one at every moment, also when the machine stops. */
static int store(const char *token, size_t len)
{
    int file, failed;
    unlinkat(folder, "refresh_token.new", 0); /* left over from a crash, if it is there */
    file = openat(folder, "refresh_token.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return errno;
    errno = ENOSPC; /* for a write of a part */
    failed = write(file, token, len) != (ssize_t)len || fsync(file) != 0 ? errno : 0;
    if (close(file) != 0 || failed != 0)
        return failed != 0 ? failed : errno;
    return renameat(folder, "refresh_token.new", folder, "refresh_token") != 0 || fsync(folder) != 0 ? errno : 0;
}

/* On gwa-dispatch: other callbacks wait, and so does the renewal, for token.persist_timeout_ms; messages go on arriving. */
static void on_ask(void *user_data, gwa_request_t *request)
{
    gwa_text_t *token;
    const char *text;
    size_t len;
    int failed = EINVAL; /* another question than this one */
    (void)user_data;
    if (gwa_request_refresh_token(request, &token) == GWA_OK) {
        text = gwa_text_data(token, &len);
        failed = store(text, len);
        gwa_text_free(token); /* wiped */
    }
    printf("refresh token %s\n", failed != 0 ? strerror(failed) : "stored");
    if (failed != 0)
        gwa_request_fail(request, GWA_E_CALLBACK_FAILED, strerror(failed));
    else
        gwa_request_complete(request, NULL, 0, 0);
}

static gwa_status_t load(gwa_config_t *config, gwa_error_t **error)
{
    char token[4096];
    int file = openat(folder, "refresh_token", O_RDONLY | O_CLOEXEC);
    ssize_t len = file < 0 ? 0 : read(file, token, sizeof token);
    gwa_status_t status = GWA_OK;
    if (len < 0 || len == (ssize_t)sizeof token || (file < 0 && errno != ENOENT))
        status = GWA_E_INVALID_ARGUMENT;
    else if (len > 0)
        status = gwa_config_set_secret(config, "token.refresh_token", token, (size_t)len, error);
    explicit_bzero(token, sizeof token);
    if (file >= 0)
        close(file);
    return status;
}

int main(int argc, char **argv)
{
    gwa_config_t *config = NULL;
    gwa_client_t *client = NULL;
    gwa_error_t *error = NULL;
    gwa_status_t status = gwa_config_new(&config);
    sigset_t ends;
    int number;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if ((folder = open(argc > 1 ? argv[1] : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return perror("the directory"), 1;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    if (status == GWA_OK && (status = settings_from_env(config, &error)) == GWA_OK &&
        (status = load(config, &error)) == GWA_OK && (status = gwa_config_on_ask(config, on_ask, NULL, NULL)) == GWA_OK)
        status = gwa_client_new(config, &client, &error);
    gwa_config_free(config); /* the client has its copy */
    if (status == GWA_OK && (status = gwa_client_start(client, &error)) == GWA_OK)
        sigwait(&ends, &number);
    else
        fprintf(stderr, "%s\n", error != NULL ? gwa_error_message(error, NULL) : gwa_status_text(status));
    gwa_error_free(error);
    return gwa_client_free(client) == GWA_OK && status == GWA_OK ? 0 : 1;
}
