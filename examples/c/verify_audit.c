/*
 * verify_audit.c - is this audit log whole, and as it was made? Offline, with the key that left the host.
 *
 *   cc verify_audit.c $(pkg-config --cflags --libs genesys-ws-auth) -o verify_audit
 *   (umask 077; ./verify_audit --new-key > k0)                     # once: audit.chain_key; keep it elsewhere
 *   ./verify_audit k0 audit.log.1 audit.log                        # the files of one sink, the oldest first
 *   ./verify_audit --after then.json --expect now.json k0 audit.log # from behind a checkpoint on, as far as another at least
 *
 * Prints a report as JSON. Exit: 0 intact, 2 declared gap, 3 truncated, 4 tampered, 5 not a chain of this key, 1 error.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <genesys_ws_auth.h>

static void fail(const char *what, gwa_error_t *err)
{
    fprintf(stderr, "verify_audit: %s: %s\n", what, err ? gwa_error_message(err, NULL) : "cannot be read");
    gwa_error_free(err);
    exit(1);
}

/* Where the error is, not what it was: the call that gives the status may be made after the other arguments were read. */
static void ok(const char *what, gwa_status_t status, gwa_error_t *const *err)
{
    if (status != GWA_OK) {
        fail(what, *err);
    }
}

/* The first line of a file, without its end. */
static size_t first_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(line, 1, size, file) : 0;
    char *end = (char *)memchr(line, '\n', len);
    if (!file || len == size) {
        fail(path, NULL);
    }
    fclose(file);
    return end ? (size_t)(end - line) : len;
}

static int new_key(void)
{
    unsigned char bytes[32];
    FILE *random = fopen("/dev/urandom", "rb");
    size_t i;
    if (!random || fread(bytes, 1, sizeof bytes, random) != sizeof bytes) {
        fail("/dev/urandom", NULL);
    }
    fclose(random);
    for (i = 0; i < sizeof bytes; i++) {
        printf("%02x", bytes[i]);
    }
    return puts("") < 0 || fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    static char data[65536];
    gwa_audit_verify_t *verify = NULL;
    gwa_text_t *report = NULL;
    gwa_error_t *err = NULL;
    int32_t result = 0;
    int at = 1, option;
    size_t len;
    if (argc == 2 && strcmp(argv[1], "--new-key") == 0)
        return new_key();
    while (at < argc && (strcmp(argv[at], "--expect") == 0 || strcmp(argv[at], "--after") == 0)) {
        at += 2;
    }
    if (argc < at + 2)
        return fputs("wanted: verify_audit [--after FILE] [--expect FILE] KEY LOG...\n", stderr), 1;
    len = first_line(argv[at], data, sizeof data);
    ok(argv[at], gwa_audit_verify_new(data, len, &verify, &err), &err);
    for (option = 1; option < at; option += 2) {
        int follows = strcmp(argv[option], "--after") == 0;
        len = first_line(argv[option + 1], data, sizeof data);
        ok(argv[option + 1], follows ? gwa_audit_verify_begin_after(verify, data, len, &err)
                                     : gwa_audit_verify_expect(verify, data, len, &err), &err);
    }
    while (++at < argc) {
        FILE *file = fopen(argv[at], "rb");
        while (file && (len = fread(data, 1, sizeof data, file)) > 0) {
            ok(argv[at], gwa_audit_verify_feed(verify, data, len, &err), &err);
        }
        if (!file || ferror(file) || fclose(file) != 0) {
            fail(argv[at], NULL);
        }
    }
    ok("finish", gwa_audit_verify_finish(verify, &result, &report, &err), &err);
    puts(gwa_text_data(report, NULL));
    gwa_text_free(report);
    gwa_audit_verify_free(verify);
    return result == GWA_AUDIT_INTACT ? 0 : result;
}
