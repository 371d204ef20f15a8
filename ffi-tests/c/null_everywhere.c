/*
 * Every function with NULL for every pointer it takes, one after the other. The harness checks that no function of the
 * header is missing here.
 */
#include "common.h"

static void of_objects(void)
{
    size_t len = 77;
    gwa_event_t *event = NULL;
    gwa_request_t *request = NULL;
    gwa_text_t *text = NULL;
    gwa_status_t status;

    CHECK_STATUS(gwa_status_at(0, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_status_at(0, &status), GWA_OK);
    CHECK(gwa_status_name(0) && gwa_status_text(0) && gwa_state_name(0));
    CHECK(gwa_version_number() > 0 && gwa_version_string());
    CHECK_STATUS(gwa_check_abi(GWA_VERSION_NUMBER), GWA_OK);

#define NONE(call) (len = 77, CHECK((call) == NULL && len == 0))
#define ZERO(call) CHECK_EQ((call), 0)
    ZERO(gwa_error_code(NULL));
    NONE(gwa_error_name(NULL, &len));
    NONE(gwa_error_message(NULL, &len));
    NONE(gwa_error_hint(NULL, &len));
    ZERO(gwa_error_category(NULL));
    NONE(gwa_error_category_name(NULL, &len));
    NONE(gwa_error_stage(NULL, &len));
    ZERO(gwa_error_http_status(NULL));
    NONE(gwa_error_oauth_error(NULL, &len));
    ZERO(gwa_error_os_errno(NULL));
    CHECK(gwa_error_tls_alert(NULL) <= 0);
    ZERO(gwa_error_ws_close_code(NULL));
    NONE(gwa_error_correlation_id(NULL, &len));
    NONE(gwa_error_host(NULL, &len));
    ZERO(gwa_error_attempt(NULL));
    ZERO(gwa_error_retriable(NULL));
    ZERO(gwa_error_fatal(NULL));
    CHECK(gwa_error_retry_after_ms(NULL) <= 0);
    NONE(gwa_error_missing_scopes(NULL, &len));
    CHECK(gwa_error_clone(NULL) == NULL);
    NONE(gwa_text_data(NULL, &len));
    NONE(gwa_token_access_token(NULL, &len));
    NONE(gwa_token_type(NULL, &len));
    NONE(gwa_token_refresh_token(NULL, &len));
    NONE(gwa_token_scope(NULL, &len));
    ZERO(gwa_token_expires_in_ms(NULL));
    ZERO(gwa_token_granted_at_ms(NULL));
    CHECK(gwa_token_clone(NULL) == NULL);
    NONE(gwa_audit_json(NULL, &len));
    ZERO(gwa_audit_seq(NULL));
    NONE(gwa_audit_kind(NULL, &len));
    ZERO(gwa_audit_is_siem(NULL));
    CHECK(gwa_audit_clone(NULL) == NULL);
    ZERO(gwa_event_kind(NULL));
    NONE(gwa_event_data(NULL, &len));
    ZERO(gwa_event_message_kind(NULL));
    ZERO(gwa_event_connection(NULL));
    CHECK_STATUS(gwa_event_clone(NULL, &event), GWA_E_INVALID_ARGUMENT);
    CHECK_EQ(gwa_event_state_from(NULL), -1);
    CHECK_EQ(gwa_event_state_to(NULL), -1);
    NONE(gwa_event_reason(NULL, &len));
    CHECK(gwa_event_error(NULL) == NULL);
    ZERO(gwa_event_gap_number(NULL));
    ZERO(gwa_event_gap_from_ms(NULL));
    ZERO(gwa_event_gap_to_ms(NULL));
    ZERO(gwa_event_gap_duration_ms(NULL));
    ZERO(gwa_event_previous_connection(NULL));
    ZERO(gwa_event_clock_ms(NULL));
    ZERO(gwa_event_sent_id(NULL));
    ZERO(gwa_event_outcome(NULL));
    CHECK(gwa_event_token(NULL) == NULL);
    ZERO(gwa_event_request_kind(NULL));
    CHECK_STATUS(gwa_event_request(NULL, &request), GWA_E_INVALID_ARGUMENT);
    CHECK(gwa_event_audit(NULL) == NULL);
    ZERO(gwa_event_log_level(NULL));
    NONE(gwa_event_log_target(NULL, &len));
    NONE(gwa_event_log_text(NULL, &len));
    ZERO(gwa_request_kind(NULL));
    CHECK_STATUS(gwa_request_refresh_token(NULL, &text), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_request_complete(NULL, NULL, 0, 0), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_request_fail(NULL, 1, NULL), GWA_E_BAD_HANDLE);
    CHECK(!event && !request && !text);

    /* the length may be NULL too */
    CHECK(gwa_error_name(NULL, NULL) == NULL && gwa_text_data(NULL, NULL) == NULL && gwa_event_data(NULL, NULL) == NULL);
    CHECK(gwa_audit_json(NULL, NULL) == NULL && gwa_token_scope(NULL, NULL) == NULL);

    gwa_error_free(NULL);
    gwa_text_free(NULL);
    gwa_token_free(NULL);
    gwa_audit_free(NULL);
    gwa_event_free(NULL);
    gwa_request_free(NULL);
    gwa_config_free(NULL);
    CHECK_STATUS(gwa_client_free(NULL), GWA_OK);
    gwa_shutdown_report_init(NULL, 100);
    gwa_metrics_init(NULL, 100);
}

static void of_configurations(gwa_config_t *config)
{
    gwa_error_t *err = NULL;
    gwa_client_t *client = NULL;
    static struct probe probe = PROBE_INIT;

    CHECK_STATUS(gwa_config_new(NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_config_set(NULL, "region", "x", NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_set(config, NULL, "x", &err), GWA_E_INVALID_ARGUMENT);
    CHECK_CONTAINS(gwa_error_message(err, NULL), "key");
    gwa_error_free(err);
    CHECK_STATUS(gwa_config_set(config, "region", NULL, &err), GWA_E_INVALID_ARGUMENT);
    CHECK_CONTAINS(gwa_error_message(err, NULL), "value");
    gwa_error_free(err);
    CHECK_STATUS(gwa_config_set_secret(NULL, "client.secret", "x", 1, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_set_secret(config, NULL, "x", 1, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_config_set_secret(config, "client.secret", NULL, 1, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_config_set_secret(config, "client.secret", NULL, 0, NULL), GWA_OK);
    CHECK_STATUS(gwa_config_set_json(NULL, "{}", 2, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_set_json(config, NULL, 2, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_config_set_from_env(NULL, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_set_from_env(config, NULL), GWA_OK);

    CHECK_STATUS(gwa_config_on_message(NULL, NULL, &probe, on_release), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_on_audit(NULL, NULL, &probe, on_release), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_on_siem(NULL, NULL, &probe, on_release), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_on_state(NULL, NULL, &probe, on_release), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_on_token(NULL, NULL, &probe, on_release), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_on_ask(NULL, NULL, &probe, on_release), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_on_sent(NULL, NULL, &probe, on_release), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_on_log(NULL, NULL, &probe, on_release), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_config_on_thread(NULL, NULL, &probe, on_release), GWA_E_BAD_HANDLE);
    CHECK_EQ(probe.released, 9); /* also where the registration failed */
    CHECK_STATUS(gwa_config_on_message(config, NULL, &probe, on_release), GWA_OK);
    CHECK_EQ(probe.released, 10);
    CHECK_STATUS(gwa_config_on_message(config, NULL, NULL, NULL), GWA_OK);

    CHECK_STATUS(gwa_client_new(NULL, &client, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_new(config, NULL, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK(client == NULL);
}

static void of_clients(gwa_client_t *client)
{
    gwa_shutdown_report_t report;
    gwa_metrics_t metrics;
    gwa_event_t *event = NULL;
    gwa_token_t *token = NULL;
    gwa_text_t *text = NULL;
    int32_t state;
    static const char *const scopes[] = {NULL};
    GWA_SHUTDOWN_REPORT_INIT(&report);
    GWA_METRICS_INIT(&metrics);

    CHECK_STATUS(gwa_client_start(NULL, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_connect(NULL, 0, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_send(NULL, "x", 1, GWA_TEXT, NULL, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_send(client, NULL, 1, GWA_TEXT, NULL, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_client_refresh_now(NULL, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_drain_notice(NULL, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_token(NULL, 0, 0, &token, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_token(client, 0, 0, NULL, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_client_set_secret(NULL, "client.secret", "x", 1, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_set_secret(client, NULL, "x", 1, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_client_set_secret(client, "client.secret", NULL, 1, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_client_state(NULL, &state), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_state(client, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_EQ(gwa_client_event_fd(NULL), -1);
    CHECK_STATUS(gwa_client_next_event(NULL, 0, &event), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_next_event(client, 0, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_client_interrupt(NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_metrics(NULL, &metrics), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_metrics(client, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_client_stats(NULL, GWA_STATS_JSON, &text), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_stats(client, GWA_STATS_JSON, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_scopes_check(NULL, 1, NULL, 0, &text, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_scopes_check("x", 1, NULL, 1, &text, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_scopes_check("x", 1, scopes, 1, &text, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_scopes_check("x", 1, NULL, 0, NULL, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_client_unregister(NULL, GWA_CALLBACK_MESSAGE, 0), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_unregister_later(NULL, GWA_CALLBACK_MESSAGE), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_shutdown(NULL, 0, &report, NULL), GWA_E_BAD_HANDLE);
    CHECK_STATUS(gwa_client_shutdown(client, 0, NULL, NULL), GWA_OK);
    CHECK(!event && !token && !text);
}

int main(void)
{
    gwa_config_t *config = NULL;
    gwa_client_t *client = NULL;
    gwa_error_t *err = NULL;

    of_objects();
    CHECK_STATUS(gwa_config_new(&config), GWA_OK);
    of_configurations(config);
    set(config, "client.id", "id");
    CHECK_OK(gwa_config_set_secret(config, "client.secret", "s", 1, &err));
    set(config, "net.allow_plain_loopback", "true");
    set(config, "token.url", "http://127.0.0.1:1/");
    set(config, "ws.url", "ws://127.0.0.1:1/");
    CHECK_OK(gwa_client_new(config, &client, &err));
    of_clients(client);
    CHECK_STATUS(gwa_client_free(client), GWA_OK);
    gwa_config_free(config);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
