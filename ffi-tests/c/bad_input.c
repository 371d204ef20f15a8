/* Bad configuration: each gives an error that names the key or the file, quotes no value, and changes nothing. */
#include "common.h"

static gwa_config_t *config;

static void refused(gwa_status_t status, gwa_status_t wanted, gwa_error_t *err, const char *named, const char *value)
{
    if (status != wanted) {
        fprintf(stderr, "%s = %s: ", named, value ? value : "");
    }
    CHECK_STATUS(status, wanted);
    CHECK(err != NULL);
    CHECK_STATUS(gwa_error_code(err), wanted);
    CHECK_EQ(gwa_error_category(err), wanted == GWA_E_TRUST_STORE ? GWA_CATEGORY_TLS : GWA_CATEGORY_CONFIG);
    CHECK_CONTAINS(gwa_error_message(err, NULL), named);
    CHECK(!value || strlen(value) < 4 || !strstr(gwa_error_message(err, NULL), value));
    gwa_error_free(err);
}

static void bad(const char *key, const char *value)
{
    gwa_error_t *err = NULL;
    gwa_status_t status = gwa_config_set(config, key, value, &err);
    /* A family of keys is named as a family. */
    refused(status, GWA_E_BAD_VALUE, err, strncmp(key, "ws.header.", 10) == 0 ? "ws.header." : key, value);
}

static void bad_secret(const char *key, const char *value, size_t len, gwa_status_t wanted, const char *named)
{
    gwa_error_t *err = NULL;
    gwa_status_t status = gwa_config_set_secret(config, key, value, len, &err);
    refused(status, wanted, err, named, value);
}

static void bad_json(const char *json, size_t len, gwa_status_t wanted, const char *named)
{
    gwa_error_t *err = NULL;
    gwa_status_t status = gwa_config_set_json(config, json, len, &err);
    refused(status, wanted, err, named, NULL);
}

static void bad_text(const char *json, gwa_status_t wanted, const char *named)
{
    bad_json(json, strlen(json), wanted, named);
}

static void bad_client(gwa_status_t wanted, const char *named)
{
    gwa_error_t *err = NULL;
    gwa_client_t *client = NULL;
    gwa_status_t status = gwa_client_new(config, &client, &err);
    CHECK(client == NULL);
    refused(status, wanted, err, named, NULL);
}

static void bombs(void)
{
    size_t len = 4u << 20, i;
    char *json = (char *)malloc(len + 1);
    CHECK(json != NULL);
    memset(json, '[', len);
    bad_json(json, len, GWA_E_TOO_LARGE, "1 MiB");
    bad_json(json, 1u << 20, GWA_E_BAD_VALUE, "");
    for (i = 0; i + 5 <= 1u << 20; i += 5) {
        memcpy(json + i, "{\"a\":", 5);
    }
    bad_json(json, i, GWA_E_BAD_VALUE, "");
    free(json);
}

int main(void)
{
    gwa_error_t *err = NULL;
    CHECK_STATUS(gwa_config_new(&config), GWA_OK);

    bad("region", "my pure cloud");
    bad("region", "mypurecloud.com/evil");
    bad("region", "a\r\nHost: evil");
    bad("region", "-bad-.example");
    bad("client.id", "abc\r\nX-Evil: 1");
    bad("client.secret", "not-here");
    bad("token.url", "ftp://example.com/");
    bad("token.url", "https://user:password@example.com/");
    bad("ws.url", "https://example.com/ws");
    bad("ws.url", "wss://example.com:99999/ws");
    bad("token.timeout_ms", "0");
    bad("token.timeout_ms", "12x");
    bad("token.timeout_ms", "99999999999999999999999");
    bad("delivery", "pigeon");
    bad("ws.header.Host", "evil");
    bad("ws.header.Bad Name", "x");
    bad("ws.header.X-Y", "a\nb");
    bad("net.allow_plain_loopback", "perhaps");
    CHECK_STATUS(gwa_config_set(config, "regoin", "x", &err), GWA_E_UNKNOWN_KEY);
    CHECK_CONTAINS(gwa_error_message(err, NULL), "\"region\"");
    gwa_error_free(err);
    CHECK_STATUS(gwa_config_set(config, "region", "\xff\xfe", &err), GWA_E_INVALID_UTF8);
    CHECK_CONTAINS(gwa_error_message(err, NULL), "value");
    gwa_error_free(err);
    CHECK_STATUS(gwa_config_set(config, "\xff", "x", &err), GWA_E_INVALID_UTF8);
    CHECK_CONTAINS(gwa_error_message(err, NULL), "key");
    gwa_error_free(err);

    bad_secret("client.secret", "hush\nhush", 9, GWA_E_BAD_VALUE, "client.secret");
    bad_secret("client.secret", "hush\0hush", 9, GWA_E_BAD_VALUE, "client.secret");
    bad_secret("token.refresh_token", "hush\x7f hush", 10, GWA_E_BAD_VALUE, "token.refresh_token");
    bad_secret("client.secret", "\xc3\x28hush", 6, GWA_E_INVALID_UTF8, "value");
    bad_secret("client.secrets", "hush", 4, GWA_E_UNKNOWN_KEY, "client.secret");

    bad_text("{\"region\": ", GWA_E_BAD_VALUE, "JSON");
    bad_text("[]", GWA_E_BAD_VALUE, "JSON object");
    bad_text("", GWA_E_BAD_VALUE, "JSON");
    bad_text("{\"client.secret\": \"hush-hush\"}", GWA_E_BAD_VALUE, "client.secret");
    bad_text("{\"scopes\": {\"required\": [\"\"]}}", GWA_E_BAD_VALUE, "scopes.required");
    bad_text("{\"scopes\": {\"required\": [\"a b\"]}}", GWA_E_BAD_VALUE, "scopes.required");
    bad_text("{\"token\": {\"timeout_ms\": -1}}", GWA_E_BAD_VALUE, "token.timeout_ms");
    bad_text("{\"token.timeout_ms\": 5000, \"nonsense\": 1}", GWA_E_UNKNOWN_KEY, "nonsense");
    bad_text("{\"region\": \"a.com\", \"region\": \"b.com\"}", GWA_E_BAD_VALUE, "");
    bad_text("{\"region\": \"\xff\"}", GWA_E_INVALID_UTF8, "json");
    bombs();

    /* What only a client can find. */
    bad_client(GWA_E_MISSING_KEY, "client.id");
    set(config, "client.id", "id");
    bad_client(GWA_E_MISSING_KEY, "client.secret");
    CHECK_OK(gwa_config_set_secret(config, "client.secret", "s", 1, &err));
    set(config, "tls.ca_file", "/nonexistent/ca.pem");
    bad_client(GWA_E_TRUST_STORE, "/nonexistent/ca.pem");
    set(config, "tls.ca_file", "/dev/null");
    bad_client(GWA_E_TRUST_STORE, "/dev/null");
    set(config, "tls.ca_file", "");
    set(config, "token.url", "http://127.0.0.1:1/");
    bad_client(GWA_E_BAD_VALUE, "token.url");
    set(config, "net.allow_plain_loopback", "true");
    set(config, "token.url", "http://example.com/");
    bad_client(GWA_E_BAD_VALUE, "token.url");
    set(config, "token.url", "");
    set(config, "token.grant", "refresh_token");
    bad_client(GWA_E_MISSING_KEY, "token.refresh_token");
    gwa_config_free(config);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
