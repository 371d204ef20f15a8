/* gwa_scopes_check: without a client and without a network. */
#include "common.h"

/* {"alg":"HS256"} . {"scope":"user:read conversation:read","client_id":"abc"} . xx */
#define JWT "eyJhbGciOiJIUzI1NiJ9.eyJzY29wZSI6InVzZXI6cmVhZCBjb252ZXJzYXRpb246cmVhZCIsImNsaWVudF9pZCI6ImFiYyJ9.eHg"

static gwa_text_t *check(const char *token, const char *const *required, size_t count)
{
    gwa_text_t *text = NULL;
    gwa_error_t *err = NULL;
    CHECK_OK(gwa_scopes_check(token, strlen(token), required, count, &text, &err));
    printf("%s\n", gwa_text_data(text, NULL));
    return text;
}

int main(void)
{
    static const char *const good[] = {"user:read"}, *const bad[] = {"user:read", "b", "a"}, *const empty[] = {""},
                            *const blank[] = {"a b"}, *const none[] = {NULL};
    gwa_text_t *text = check(JWT, good, 1);
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"isValid\":true,\"missingScopes\":[]");
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"grantedScopes\":[\"user:read\",\"conversation:read\"]");
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"result\":\"allowed\"");
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"clientId\":\"abc\"");
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"verdict\":\"ok\"");
    gwa_text_free(text);
    text = check(JWT, bad, 3);
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"isValid\":false,\"missingScopes\":[\"b\",\"a\"]");
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"result\":\"denied\"");
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"verdict\":\"missing\"");
    gwa_text_free(text);
    text = check("opaque", good, 1);
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"isValid\":false,\"missingScopes\":[\"user:read\"]");
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"verdict\":\"unknown\"");
    gwa_text_free(text);
    text = check(JWT, NULL, 0);
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"isValid\":true");
    gwa_text_free(text);
    text = check("a.b.c", good, 1);
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"result\":\"error\",\"error\":\"invalid_token_structure\"");
    CHECK_CONTAINS(gwa_text_data(text, NULL), "\"isValid\":false,\"missingScopes\":[\"user:read\"]");
    gwa_text_free(text);
    text = NULL;
    CHECK_STATUS(gwa_scopes_check(JWT, strlen(JWT), empty, 1, &text, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_scopes_check(JWT, strlen(JWT), blank, 1, &text, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_scopes_check(JWT, strlen(JWT), none, 1, &text, NULL), GWA_E_INVALID_ARGUMENT);
    CHECK_STATUS(gwa_scopes_check("\xff", 1, good, 1, &text, NULL), GWA_E_INVALID_UTF8);
    CHECK(text == NULL);
    CHECK_EQ(gwa_debug_live_objects(), 0);
    return 0;
}
