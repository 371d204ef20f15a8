/* Free twice, stale handles and wrong types give GWA_E_BAD_HANDLE; a free function takes NULL and does nothing. */
#include "common.h"

static void refused(gwa_client_t *client)
{
    gwa_metrics_t metrics;
    gwa_event_t *event = NULL;
    gwa_token_t *token = NULL;
    gwa_text_t *text = NULL;
    int32_t state = 77;
    uint64_t id = 77;
    gwa_error_t *err = NULL;
    GWA_METRICS_INIT(&metrics);

    CHECK_STATUS(gwa_client_start(client, &err), GWA_E_BAD_HANDLE);
    CHECK_EQ(gwa_error_code(err), GWA_E_BAD_HANDLE);
    gwa_error_free(err);
    CHECK_STATUS(gwa_client_connect(client, 0, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_send(client, "x", 1, GWA_TEXT, &id, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_refresh_now(client, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_drain_notice(client, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_token(client, 0, 0, &token, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_set_secret(client, "client.secret", "x", 1, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_state(client, &state), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_metrics(client, &metrics), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_stats(client, GWA_STATS_JSON, &text), GWA_E_BAD_HANDLE);
    CHECK_EQ(gwa_client_event_fd(client), -1);
    CHECK_STATUS(gwa_client_next_event(client, 0, &event), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_interrupt(client), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_unregister(client, GWA_CALLBACK_MESSAGE, 0), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_unregister_later(client, GWA_CALLBACK_MESSAGE), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_shutdown(client, 0, NULL, NULL), GWA_E_BAD_HANDLE);
    CHECK(state == 77 && id == 77 && !event && !token && !text);
}

static void refused_config(gwa_config_t *config)
{
    gwa_client_t *client = NULL;
    CHECK_STATUS(gwa_config_set(config, "region", "x.com", NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_set_secret(config, "client.secret", "x", 1, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_set_json(config, "{}", 2, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_set_from_env(config, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_new(config, &client, NULL), GWA_E_BAD_HANDLE);
    CHECK(client == NULL);
    gwa_config_free(config);
}

static void refused_request(gwa_request_t *request)
{
    gwa_text_t *text = NULL;
    CHECK_EQ(gwa_request_kind(request), 0);
    CHECK_STATUS(gwa_request_refresh_token(request, &text), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_request_complete(request, NULL, 0, 0), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_request_fail(request, 1, NULL), GWA_E_BAD_HANDLE);
    gwa_request_free(request);
}

int main(void)
{
    gwa_config_t *config = NULL, *stale;
    gwa_client_t *client = NULL, *other = NULL;
    static struct probe probe = PROBE_INIT;
    int i;

    CHECK_STATUS(gwa_config_new(&config), GWA_OK);
    CHECK_STATUS(gwa_config_set(config, "client.id", "id", NULL), GWA_OK);
    CHECK_STATUS(gwa_config_set_secret(config, "client.secret", "s", 1, NULL), GWA_OK);
    set(config, "net.allow_plain_loopback", "true");
    set(config, "token.url", "http://127.0.0.1:1/");
    set(config, "ws.url", "ws://127.0.0.1:1/");
    watch(config, &probe);
    CHECK_STATUS(gwa_client_new(config, &client, NULL), GWA_OK);

    /* wrong types */
    refused((gwa_client_t *)(void *)config);
    CHECK_STATUS(gwa_client_free((gwa_client_t *)(void *)config), GWA_E_BAD_HANDLE);
    refused_config((gwa_config_t *)(void *)client);
    refused_request((gwa_request_t *)(void *)config);
    refused_request((gwa_request_t *)(void *)client);
    /* no handles at all */
    refused(NULL);
    refused_config(NULL);
    refused_request(NULL);
    for (i = 1; i < 4096; i++) {
        if ((uintptr_t)client != (uintptr_t)i) {
            refused((gwa_client_t *)(uintptr_t)i);
        }
    }
    refused((gwa_client_t *)(void *)&i);
    refused((gwa_client_t *)UINTPTR_MAX);
    /* freed, and its place used again */
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    CHECK_STATUS(gwa_client_free(client), GWA_E_BAD_HANDLE);
    refused(client);
    CHECK_STATUS(gwa_client_new(config, &other, NULL), GWA_OK);
    refused(client);
    CHECK_STATUS(gwa_client_free(client), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_free(other), GWA_OK);
    stale = config;
    gwa_config_free(config);
    refused_config(stale);
    CHECK_EQ(probe.released, PROBE_CALLBACKS);
    /* NULL is nothing */
    CHECK_STATUS(gwa_client_free(NULL), GWA_OK);
    gwa_config_free(NULL);
    gwa_request_free(NULL);
    gwa_event_free(NULL);
    gwa_audit_free(NULL);
    gwa_error_free(NULL);
    gwa_token_free(NULL);
    gwa_text_free(NULL);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
