/*
 * Audit records into a file of JSON lines that is rotated: AUDIT_FILE, then AUDIT_FILE.1 and so on up to .9, each of at most
 * AUDIT_MAX_BYTES (10000000). The oldest goes: then verify_audit.c needs --after, a checkpoint of what went. AUDIT_SYNC says
 * when what is written is made to survive a loss of power: "record" (the default): before the record counts as delivered;
 * "rotate": when a file is full, at the end, and at each checkpoint, as the state of a chain does not wait for a log that is
 * behind it. Lives until SIGTERM or SIGINT.
 *
 *   cc audit_to_file.c $(pkg-config --cflags --libs genesys-ws-auth) -o audit_to_file
 *   AUDIT_FILE=/var/log/recorder/audit.jsonl ./audit_to_file
 *
 * Takes lines.h and number.h with it. Reads the environment: see settings.h.
 */
#define _XOPEN_SOURCE 700
#include "lines.h"
#include "number.h"
#include "settings.h"
#include <genesys_ws_auth.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int sync_all = 1;

/* On gwa-dispatch: a slow disk holds up neither the connection nor a renewal; records wait in their queue. */
static int32_t on_audit(void *user_data, const gwa_audit_t *record)
{
    size_t size;
    off_t before;
    const char *json = gwa_audit_json(record, &size);
    int sync = sync_all || strcmp(gwa_audit_kind(record, NULL), "audit_checkpoint") == 0;
    (void)user_data;
    if ((file.fd < 0 && open_file()) || (file.size > 0 && file.size + (off_t)size + 1 > file.max && rotate()))
        return 1; /* this record is missing: counted, logged, and seen by its number */
    before = file.size;
    if (append(json, size))
        return 1;
    return sync && fdatasync(file.fd) != 0 ? refuse(before) : 0;
}

int main(void)
{
    gwa_config_t *config = NULL; gwa_client_t *client = NULL; gwa_error_t *error = NULL;
    gwa_status_t status = gwa_config_new(&config);
    sigset_t ends;
    int number;
    file.path = getenv("AUDIT_FILE") != NULL ? getenv("AUDIT_FILE") : "audit.jsonl";
    sync_all = getenv("AUDIT_SYNC") == NULL || strcmp(getenv("AUDIT_SYNC"), "rotate") != 0;
    file.max = number_from_env("AUDIT_MAX_BYTES", 10000000);
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
