/*
 * Audit records into a file of JSON lines that is rotated: AUDIT_FILE, then AUDIT_FILE.1 and so on up to .9, each of at most
 * AUDIT_MAX_BYTES (10000000). AUDIT_SYNC says when what is written is made to survive a loss of power: "record" (the default):
 * before the record counts as delivered; "rotate": when a file is full and at the end. Lives until SIGTERM or SIGINT.
 *
 *   cc audit_to_file.c $(pkg-config --cflags --libs genesys-ws-auth) -o audit_to_file
 *   AUDIT_FILE=/var/log/recorder/audit.jsonl ./audit_to_file
 *
 * Reads the environment: see settings.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "settings.h"
#include <fcntl.h>
#include <genesys_ws_auth.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEEP 9
static struct { const char *path; int fd, sync; off_t size, max; } file = {NULL, -1, 1, 0, 10000000};

/* A new name is durable when its directory is. */
static int sync_directory(void)
{
    char name[4096];
    int fd, failed;
    snprintf(name, sizeof name, "%s", file.path);
    fd = open(dirname(name), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    failed = fd < 0 || fsync(fd) != 0;
    return (fd >= 0 && close(fd) != 0) || failed;
}

static int open_file(void)
{
    struct stat found;
    if ((file.fd = open(file.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) < 0 || fstat(file.fd, &found) != 0)
        return 1;
    file.size = found.st_size;
    return sync_directory();
}

static int rotate(void)
{
    char from[4096], to[4096];
    int n, failed = fsync(file.fd);
    close(file.fd);
    for (n = KEEP; n > 0; n--) {
        snprintf(to, sizeof to, "%s.%d", file.path, n);
        snprintf(from, sizeof from, n > 1 ? "%s.%d" : "%s", file.path, n - 1);
        rename(from, to); /* those that are not there yet are not there */
    }
    return open_file() || failed;
}

/* On gwa-dispatch: a slow disk holds up neither the connection nor a renewal; records wait in their queue. */
static int32_t on_audit(void *user_data, const gwa_audit_t *record)
{
    size_t size, done = 0;
    const char *json = gwa_audit_json(record, &size);
    (void)user_data;
    if ((file.fd < 0 && open_file()) || (file.size > 0 && file.size + (off_t)size + 1 > file.max && rotate()))
        return 1;                         /* this record is missing: counted, logged, and seen by its number */
    while (done <= size) {                /* the NUL behind the text is written as the end of the line */
        ssize_t n = done < size ? write(file.fd, json + done, size - done) : write(file.fd, "\n", 1);
        if (n <= 0) {                     /* half a line is worse than none */
            if (ftruncate(file.fd, file.size) != 0)
                close(file.fd), file.fd = -1;
            return 1;
        }
        done += (size_t)n;
    }
    file.size += (off_t)done;
    return file.sync && fdatasync(file.fd) != 0; /* then it may be missing after a loss of power */
}

int main(void)
{
    gwa_config_t *config = NULL; gwa_client_t *client = NULL; gwa_error_t *error = NULL;
    gwa_status_t status = gwa_config_new(&config);
    sigset_t ends;
    int number;
    file.path = getenv("AUDIT_FILE") != NULL ? getenv("AUDIT_FILE") : "audit.jsonl";
    file.sync = getenv("AUDIT_SYNC") == NULL || strcmp(getenv("AUDIT_SYNC"), "rotate") != 0;
    file.max = getenv("AUDIT_MAX_BYTES") != NULL ? (off_t)atol(getenv("AUDIT_MAX_BYTES")) : file.max;
    sigemptyset(&ends), sigaddset(&ends, SIGINT), sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    if (open_file() == 0 && status == GWA_OK && (status = settings_from_env(config, &error)) == GWA_OK &&
        (status = gwa_config_on_audit(config, on_audit, NULL, NULL)) == GWA_OK &&
        (status = gwa_client_new(config, &client, &error)) == GWA_OK &&
        (status = gwa_client_start(client, &error)) == GWA_OK && sigwait(&ends, &number) == 0)
        status = gwa_client_shutdown(client, 5000, NULL, &error); /* delivers the records that wait */
    if (status != GWA_OK || file.fd < 0)
        fprintf(stderr, "%s\n", error != NULL ? gwa_error_message(error, NULL) : "the file or the configuration");
    gwa_error_free(error), gwa_config_free(config);
    return gwa_client_free(client) == GWA_OK && file.fd >= 0 && fsync(file.fd) == 0 && status == GWA_OK ? 0 : 1;
}
