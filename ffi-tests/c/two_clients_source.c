/*
 * Two clients share one token: one request for both, at the start and at every renewal. The source is freed first
 * (argument 1: first), between the clients (between) or last (last); what lives goes on, and nothing is left at the end.
 */
#include "system.h"

#include <sys/wait.h>

static gwa_client_t *sharing(gwa_token_source_t *source, struct probe *probe)
{
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;
    /* It needs no credentials. */
    set(config, "client.id", "");
    CHECK_OK(gwa_config_set_secret(config, "client.secret", "", 0, &err));
    watch(config, probe);
    CHECK_OK(gwa_client_new_with_source(config, source, &client, &err));
    gwa_config_free(config);
    return client;
}

static gwa_token_source_t *new_source(struct probe *probe)
{
    gwa_config_t *config = new_config();
    gwa_token_source_t *source = NULL;
    gwa_error_t *err = NULL;
    set(config, "delivery", "poll");
    CHECK_STATUS(gwa_token_source_new(config, &source, &err), GWA_E_BAD_VALUE);
    CHECK_CONTAINS(gwa_error_message(err, NULL), "delivery");
    gwa_error_free(err);
    err = NULL;
    set(config, "delivery", "callbacks");
    watch(config, probe);
    CHECK_OK(gwa_token_source_new(config, &source, &err));
    gwa_config_free(config);
    return source;
}

static void refused(gwa_token_source_t *source)
{
    gwa_config_t *config = new_config();
    gwa_client_t *client = NULL;
    CHECK_STATUS(gwa_client_new_with_source(config, source, &client, NULL), GWA_E_BAD_HANDLE);
    CHECK(client == NULL);
    CHECK_STATUS(gwa_client_new(config, &client, NULL), GWA_OK);
    CHECK_STATUS(gwa_token_source_free((gwa_token_source_t *)(void *)client), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_free((gwa_client_t *)(void *)source), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    gwa_config_free(config);
}

static void in_a_child(gwa_token_source_t *source)
{
    int verdict[2];
    char word[4] = "";
    pid_t child;
    CHECK_EQ(pipe(verdict), 0);
    fflush(NULL);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(20);
        CHECK_STATUS(gwa_token_source_free(source), GWA_E_FORKED);
        CHECK_EQ(write(verdict[1], "ok", 2), 2);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, NULL, 0), child);
    CHECK(read(verdict[0], word, 2) == 2 && strcmp(word, "ok") == 0);
    close(verdict[0]);
    close(verdict[1]);
}

static void free_source(gwa_token_source_t **source)
{
    CHECK_STATUS(gwa_token_source_free(*source), GWA_OK);
    CHECK_STATUS(gwa_token_source_free(*source), GWA_E_BAD_HANDLE);
    refused(*source);
    *source = NULL;
}

static void end_one(gwa_client_t *client, struct probe *probe)
{
    gwa_error_t *err = NULL;
    gwa_shutdown_report_t report;
    GWA_SHUTDOWN_REPORT_INIT(&report);
    CHECK_OK(gwa_client_shutdown(client, 5000 * (uint32_t)slowness(), &report, &err));
    CHECK(report.complete == 1 && report.close_handshake == 1);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    check_clean(probe);
}

int main(int argc, char **argv)
{
    static struct probe one = PROBE_INIT, two = PROBE_INIT, own = PROBE_INIT;
    unsigned long wanted = (unsigned long)number_or("GWA_TEST_COUNT", 3), before;
    gwa_token_source_t *source = new_source(&own);
    gwa_client_t *first = sharing(source, &one), *second = sharing(source, &two);
    gwa_error_t *err = NULL;
    gwa_text_t *stats = NULL;

    CHECK_EQ(argc, 2);
    one.quiet = two.quiet = 1;
    CHECK_EQ(own.tokens + own.states[GWA_STATE_ACQUIRING_TOKEN] + (unsigned long)library_threads("gwa-"), 0);
    CHECK_OK(gwa_client_connect(first, 20000 * (uint32_t)slowness(), &err));
    if (strcmp(argv[1], "first") == 0) {
        free_source(&source);
    }
    CHECK_OK(gwa_client_connect(second, 20000 * (uint32_t)slowness(), &err));
    WAIT(&own, 20000, own.tokens >= wanted);
    WAIT(&one, 20000, one.tokens >= wanted);
    WAIT(&two, 20000, two.tokens >= wanted);
    CHECK(library_threads("gwa-refresh") == 1 && library_threads("gwa-socket") == 2 && library_threads("gwa-dispatch") == 3);
    CHECK_STATUS(gwa_client_stats(second, GWA_STATS_JSON, &stats), GWA_OK);
    CHECK_CONTAINS(gwa_text_data(stats, NULL), "\"token_source\":{\"clients\":2,");
    gwa_text_free(stats);
    end_one(first, &one);
    if (source && strcmp(argv[1], "between") == 0) {
        in_a_child(source);
        free_source(&source);
    }
    pthread_mutex_lock(&two.lock);
    before = two.tokens;
    pthread_mutex_unlock(&two.lock);
    WAIT(&two, 20000, two.tokens > before);
    CHECK_EQ(two.gap_begins + two.handovers, 0);
    end_one(second, &two);
    if (source) {
        free_source(&source);
    }
    check_clean(&own);
    no_library_thread_is_left();
    CHECK(own.messages == 0 && own.states[GWA_STATE_READY] >= 1);
    tell("tokens", (long long)own.tokens);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
