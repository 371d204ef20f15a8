/*
 * genesys_ws_auth.h - an authenticated WebSocket to Genesys Cloud that stays alive for months.
 *
 * Made from the sources; do not edit. MIT OR Apache-2.0.
 *
 * Conventions
 *
 *   Statuses     Fallible calls return gwa_status_t: GWA_OK is 0, errors are GWA_E_..., GWA_DEFERRED is no error.
 *   Errors       Where a call takes `gwa_error_t **err`, it is always written: NULL, or an error to free with
 *                gwa_error_free(). NULL for `err` is allowed. There is no last error and no errno.
 *   Results      All other out-parameters are written only on success.
 *   Handles      gwa_config_t, gwa_client_t, gwa_token_source_t and gwa_request_t are checked: NULL, a freed handle and
 *                one of another type give GWA_E_BAD_HANDLE. A free function takes NULL and does nothing.
 *   Objects      Events, audit records, verifiers, errors, tokens and texts are plain pointers: owned ones are freed
 *                once by their own function and may outlive the client; what is lent to a callback, or part of
 *                another object, is left alone by the free functions.
 *   Data         Inputs are copied before a call returns. Texts are UTF-8 and end with NUL; accessors also give
 *                the length through `size_t *len` (which may be NULL), without the NUL. Times are milliseconds.
 *   Waiting      timeout_ms: 0 does not wait, GWA_NO_LIMIT waits without limit.
 *   Threads      Every function may be called from every thread. The library runs callbacks on its thread
 *                gwa-dispatch, one at a time, in order (delivery = inline: messages on gwa-socket; delivery = poll: all on
 *                the thread that calls gwa_client_next_event(), before that returns); none before gwa_client_start() or
 *                gwa_client_connect(), none after gwa_client_shutdown() or gwa_client_free() returned GWA_OK.
 *   Callbacks    user_data comes first, lent data lives for the call. No lock of the library is held. C++
 *                exceptions and longjmp must not leave a callback: the process would be aborted.
 *   Registering  is a triple (function, user_data, release); release is called exactly once, after the last call.
 *   Environment  is read by gwa_config_set_from_env() alone; nothing is printed, no signal handler is installed.
 *
 * Each function says: Thread (which may call it), Callback (what happens inside a callback of the same client), Fork
 * (what happens in a child with a handle of its parent; "allowed" where no handle is involved, "inert" where nothing
 * happens), Signal (whether a signal handler may call it), Blocking (how long it may take), Ownership (who frees what),
 * Since (the version that brought it).
 *
 * Configuration keys, with their defaults, types and ranges (gwa_config_set(), gwa_config_set_json(); secrets by
 * gwa_config_set_secret())
 *
 *   profile = auth-message
 *       auth-message | notifications: which wire is spoken: an auth message on one socket, or Genesys Cloud's
 *       Notifications API
 *   region = mypurecloud.com
 *       AWS name of a region, or its domain without scheme and port: Genesys Cloud region: the name AWS has
 *       for it, as eu-central-1, or its domain
 *   client.id
 *       text of at most 1024 characters, none of them a control character: OAuth client id; needed unless
 *       token.grant = application
 *   client.secret
 *       secret text of at most 1048576 characters, none of them a control character: OAuth client secret;
 *       needed with client.authentication = basic
 *   client.authentication = basic
 *       basic | none | private_key_jwt | tls: how the client proves who it is: id and secret; not at all (a
 *       public client with PKCE); a JWT signed with client.private_key_pem (RFC 7523); its tls.client_cert
 *       (RFC 8705)
 *   client.private_key_file
 *       text of at most 4096 characters, none of them a control character: PEM file of the key for
 *       client.authentication = private_key_jwt, RSA (RS256) or P-256 (ES256), not encrypted
 *   client.private_key_pem
 *       secret PEM text of at most 1048576 bytes: PEM text of that key, instead of the file
 *   client.key_id
 *       text of at most 1024 characters, none of them a control character: kid of that key, where the server
 *       wants one
 *   client.assertion_audience
 *       https URL (http to a loopback address) without credentials and fragment: whom that JWT is for (aud),
 *       the server's issuer; needed with client.authentication = private_key_jwt
 *   token.url
 *       https URL (http to a loopback address) without credentials and fragment: token endpoint;
 *       https://api.{region}/oauth/token unless set, with profile = notifications
 *       https://login.{region}/oauth/token
 *   token.refresh_token
 *       secret text of at most 1048576 characters, none of them a control character: refresh token to begin
 *       with
 *   token.grant = auto
 *       auto | refresh_token | client_credentials | authorization_code | application | saml2-bearer: OAuth
 *       grant; auto is refresh_token if there is one, else client_credentials; application: on_ask provides
 *       tokens, and no credentials are needed; saml2-bearer: token.saml_assertion is exchanged
 *   token.basic = rfc6749
 *       rfc6749 | raw: how id and secret enter the Basic header: form-url-encoded first, or as they are
 *   token.authorize_url
 *       https URL (http to a loopback address) without credentials and fragment: where a user signs in for an
 *       authorization code; https://login.{region}/oauth/authorize unless set
 *   token.idle_timeout_ms = 0
 *       whole number, 0 to 38880000000 ms: idle timeout of the organisation: a token is renewed before it; 0:
 *       there is none
 *   token.redirect_uri
 *       text of at most 2048 characters, none of them a control character: redirect_uri of the
 *       authorization_code grant
 *   token.redirect_listener = false
 *       true or false: while an authorization code is asked for, listen for the redirect at
 *       token.redirect_uri: http://127.0.0.1:PORT/PATH or http://[::1]:PORT/PATH; PORT 0 is any that is free
 *   token.pkce = auto
 *       auto | on | off: guard authorization codes by PKCE (RFC 7636, S256); auto is on with token.grant =
 *       authorization_code or client.authentication = none, else off
 *   token.saml_org
 *       text of at most 1024 characters, none of them a control character: short name of the organisation
 *       (orgName), for token.grant = saml2-bearer
 *   token.saml_assertion
 *       secret text of at most 1048576 characters, none of them a control character: SAML 2.0 assertion in
 *       base64 to begin with; gwa_client_set_secret() brings the next one
 *   token.timeout_ms = 15000
 *       whole number, 1 to 300000 ms: a token request, from resolving to the last byte
 *   token.attempts = 3
 *       whole number, 1 to 100: attempts in a round
 *   token.lead_ms = 0
 *       whole number, 0 to 86400000 ms: renew this long before the token ends, within a tenth and a half of
 *       its life; 0: by the built-in rule
 *   token.lead_goal_ms = 0
 *       whole number, 0 to 86400000 ms: service level: another token takes effect while this much life is
 *       left, else the state is Degraded; at most half of the lead; 0: a quarter of the life, 60 s at most
 *   token.store
 *       text of at most 4096 characters, none of them a control character: file in which the newest refresh
 *       token is kept, mode 0600, made if need be; empty: none
 *   token.revoke_on_close = false
 *       true or false: revoke the token when the client, or the last one of a source, shuts down; profile =
 *       notifications alone
 *   token.refresh_floor_ms = 20000
 *       whole number, 0 to 86400000 ms: shortest time between two refreshes that a refused token or
 *       gwa_client_refresh_now() asks for, and never more than a quarter of the token's life; 0: none, for
 *       tests
 *   token.persist_timeout_ms = 5000
 *       whole number, 0 to 600000 ms: wait for the application to store a rotated refresh token
 *   token.authorize_timeout_ms = 600000
 *       whole number, 1 to 86400000 ms: wait for an authorization code
 *   token.provider_timeout_ms = 15000
 *       whole number, 1 to 300000 ms: wait for a token that the application provides
 *   token.max_bytes = 16384
 *       whole number, 64 to 1048576 bytes: largest access token
 *   token.max_response_bytes = 65536
 *       whole number, 1024 to 16777216 bytes: largest answer of the token endpoint
 *   token.verify = off
 *       off | jwt | introspection: before a token is used: nothing more; verify its signature and claims with
 *       the issuer's keys (RFC 9068); ask the issuer (RFC 7662), which opaque tokens need
 *   token.issuer
 *       text of at most 2048 characters, none of them a control character: who has to have issued a token
 *       (iss), letter by letter; needed with token.verify = jwt
 *   token.audience
 *       text of at most 2048 characters, none of them a control character: whom a token has to be for (aud
 *       has it); needed with token.verify = jwt
 *   token.jwks_url
 *       https URL (http to a loopback address) without credentials and fragment: the issuer's keys (jwks_uri
 *       of its metadata); needed with token.verify = jwt
 *   token.algorithms = RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,EdDSA
 *       some of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, separated by commas:
 *       signatures that are accepted (alg); never none, and none that is made with a shared secret
 *   token.typ = at+jwt
 *       texts separated by commas: what a token may call itself (typ); letter case does not matter;
 *       at+jwt,jwt for issuers that do not follow RFC 9068
 *   token.leeway_ms = 60000
 *       whole number, 0 to 300000 ms: how far clocks may be apart when nbf and iat are judged; a token whose
 *       exp is past has no life left, whatever the leeway; the clock is the token endpoint's, as far as it is
 *       known
 *   token.introspection_url
 *       https URL (http to a loopback address) without credentials and fragment: where the issuer is asked
 *       about a token, with client.authentication; needed with token.verify = introspection
 *   token.identity = pin
 *       pin | off: a renewed token has to be about the same subject, client and organisation as the one
 *       before it, as far as is known; a new credential may bring another
 *   scopes.required
 *       scopes separated by blanks: scopes the application needs
 *   scopes.requested
 *       scopes separated by blanks: scopes to ask for, by the authorize URL, client_credentials and
 *       saml2-bearer; none: all that the OAuth client has
 *   scopes.unknown = auto
 *       auto | deny | allow: a token whose scopes cannot be known; auto is deny, with profile = notifications
 *       allow
 *   scopes.lost = keep
 *       keep | close: a renewed token that lacks a required scope is never used; the live socket: keep it
 *       until the old token ends and ask for tokens meanwhile, or close it at once
 *   api.url
 *       https URL (http to a loopback address) without credentials and fragment: REST API of profile =
 *       notifications, without a path; https://api.{region} unless set
 *   api.timeout_ms = 15000
 *       whole number, 1 to 300000 ms: a REST request, from resolving to the last byte
 *   notifications.topics
 *       at most 1000 topics of at most 200 characters, separated by blanks: topics to begin with, at most
 *       1000
 *   notifications.streaming_host
 *       text of at most 261 characters, none of them a control character: host, or host:port, to which a
 *       channel's connectUri may lead; streaming.{region} unless set
 *   notifications.heartbeat_timeout_ms = 35000
 *       whole number, 1 to 600000 ms: silence, heartbeats included, after which a socket counts as dead
 *   notifications.channel_reuses = 10
 *       whole number, 0 to 1000: how often a channel is connected again before a new one is made
 *   notifications.linger_ms = 3000
 *       whole number, 0 to 60000 ms: how long a channel that is replaced keeps its topics once the next one
 *       is live: events may be on a longer way by it
 *   notifications.displaced = stop
 *       stop | return: when another client has taken the channel: wait for gwa_client_refresh_now(), or come
 *       back after 5 to 10 minutes
 *   ws.url
 *       wss URL (ws to a loopback address) without credentials and fragment: socket; wss://api.{region}/ws
 *       unless set
 *   ws.upgrade_timeout_ms = 10000
 *       whole number, 1 to 300000 ms: WebSocket upgrade
 *   ws.auth_timeout_ms = 10000
 *       whole number, 1 to 300000 ms: reply to the auth message
 *   ws.ping_after_ms = 25000
 *       whole number, 1 to 3600000 ms: silence before a ping
 *   ws.dead_after_ms = 10000
 *       whole number, 1 to 600000 ms: silence after a ping before the peer counts as dead
 *   ws.expired_grace_ms = 25000
 *       whole number, 0 to 25000 ms: how long a socket with an expired token is kept
 *   ws.max_message_bytes = 4194304
 *       whole number, 1 to 1073741824 bytes: largest message, both ways
 *   ws.max_auth_reply_bytes = 65536
 *       whole number, 64 to 1048576 bytes: largest reply to the auth message
 *   ws.throttle_patterns = rate limit,too many
 *       texts separated by commas: texts in a refused authentication that mean a rate limit; letter case does
 *       not matter
 *   ws.close_codes
 *       CODE=retry|drain|token|final, separated by commas, CODE 1000 to 4999: what close codes ask for, where
 *       it differs: 1001, 1012, 1013 are drain, 1008, 4401, 4403 token, all others retry; final ends the
 *       client
 *   ws.origin
 *       value of an HTTP header, printable ASCII: Origin of the upgrade
 *   ws.subprotocol
 *       value of an HTTP header, printable ASCII: Sec-WebSocket-Protocol of the upgrade
 *   ws.header.<Name>
 *       a header the library does not write itself, its value in printable ASCII: a further header of the
 *       upgrade, one key each; empty removes it
 *   http.user_agent = genesys-ws-auth/0.1.0
 *       value of an HTTP header, printable ASCII: User-Agent of all requests
 *   connect.overlap = on
 *       on | off: open the socket while its token is still being fetched; off: in strict order
 *   connect.timeout_ms = 10000
 *       whole number, 1 to 300000 ms: DNS and TCP together
 *   tls.timeout_ms = 10000
 *       whole number, 1 to 300000 ms: TLS handshake
 *   tls.min_version = 1.2
 *       1.2 | 1.3: oldest version of TLS that is spoken
 *   tls.trust = auto
 *       auto | system | file | directory | memory: where trusted authorities come from; auto is file,
 *       directory or memory if tls.ca_file, tls.ca_directory or tls.ca_pem is set, else system
 *   tls.ca_file
 *       text of at most 4096 characters, none of them a control character: PEM file of trusted authorities
 *   tls.ca_directory
 *       text of at most 4096 characters, none of them a control character: directory of PEM files of trusted
 *       authorities; what is none is left out
 *   tls.ca_pem
 *       PEM text of at most 4194304 bytes: PEM text of trusted authorities
 *   tls.extra_ca_file
 *       text of at most 4096 characters, none of them a control character: PEM file of further authorities,
 *       beside those of tls.trust
 *   tls.extra_ca_pem
 *       PEM text of at most 4194304 bytes: PEM text of further authorities, beside those of tls.trust
 *   tls.pins
 *       sha256/<base64 of SHA-256 of a public key's DER>, separated by commas: public keys of which one has
 *       to be in the server's verified chain, authority included
 *   tls.client_cert_file
 *       text of at most 4096 characters, none of them a control character: PEM file of the client certificate
 *       and those between it and its authority
 *   tls.client_key_file
 *       text of at most 4096 characters, none of them a control character: PEM file of its private key, not
 *       encrypted
 *   tls.client_cert_pem
 *       PEM text of at most 4194304 bytes: PEM text of the client certificate, instead of the file
 *   tls.client_key_pem
 *       secret PEM text of at most 1048576 bytes: PEM text of its private key, instead of the file
 *   proxy = none
 *       none | environment | http://host:port, without credentials: proxy to everything, asked by CONNECT;
 *       environment reads https_proxy, wss_proxy, http_proxy, all_proxy and no_proxy when a client is made
 *   proxy.https
 *       none | environment | http://host:port, without credentials: proxy to the token endpoint; as proxy
 *       unless set
 *   proxy.wss
 *       none | environment | http://host:port, without credentials: proxy to the socket; as proxy unless set
 *   proxy.user
 *       text of at most 1024 characters, none of them a control character: user name at the proxy (Basic),
 *       without a colon
 *   proxy.password
 *       secret text of at most 1048576 characters, none of them a control character: password at the proxy
 *   proxy.except
 *       hosts, domains, addresses and networks, separated by commas, or *: reached without the proxy: hosts,
 *       domains and all below them, addresses, networks as 10.0.0.0/8, each with :port or without, or *
 *   proxy.timeout_ms = 10000
 *       whole number, 1 to 300000 ms: a proxy's answer to CONNECT
 *   net.allow_plain_loopback = false
 *       true or false: allow http and ws to localhost, 127.0.0.0/8 and ::1, for tests
 *   delivery = callbacks
 *       callbacks | inline | poll: who runs callbacks: gwa-dispatch; on_message on gwa-socket;
 *       gwa_client_next_event()
 *   send.queue_messages = 1024
 *       whole number, 1 to 1048576: bound of the send queue
 *   send.queue_bytes = 4194304
 *       whole number, 1 to 1073741824 bytes: bound of the send queue
 *   events.queue_events = 4096
 *       whole number, 1 to 1048576: bound of the event queue; when it is full the socket is not read
 *   events.queue_bytes = 8388608
 *       whole number, 1 to 1073741824 bytes: bound of the event queue
 *   audit.queue_records = 4096
 *       whole number, 1 to 1048576: bound of the audit queue
 *   audit.policy = drop_oldest
 *       drop_oldest | drop_newest | block: when the audit queue is full; block holds the producer up to 1 s a
 *       record; not with delivery = poll
 *   audit.siem_source = genesys_websocket_authenticator
 *       text of at most 256 characters, none of them a control character: "source" of SIEM events
 *   audit.chain_state
 *       text of at most 4096 characters, none of them a control character: file in which the evolved key of
 *       the chain of MACs over all records is kept, mode 0600; one a client; empty: none. What a sink was
 *       given must be durable when it returns from an audit_checkpoint record
 *   audit.chain_key
 *       secret text of at most 1048576 characters, none of them a control character: K0 of that chain, 64
 *       hexadecimal digits: given once with audit.chain_state, while there is no such file; without one given
 *       always, and then the chain is tamper-evident, not forward-secure
 *   audit.checkpoints = auto
 *       auto | on | off: records of the counters of the log itself; auto is on with a chain
 *   audit.checkpoint_records = 256
 *       whole number, 1 to 1048576: a checkpoint after so many records, and a new key
 *   audit.checkpoint_ms = 300000
 *       whole number, 1 to 86400000 ms: a checkpoint after this time, and a new key
 *   audit.format = native
 *       native | ocsf | ecs | cef | rfc5424: form of what on_audit is given; rfc5424 is a syslog message, cef
 *       a line of text, all others are JSON
 *   audit.siem_format = native
 *       native | ocsf | ecs | cef | rfc5424: form of what on_siem is given
 *   audit.syslog_facility = authpriv
 *       kern | user | mail | daemon | auth | syslog | lpr | news | uucp | cron | authpriv | ftp | ntp | audit
 *       | alert | clock | local0 | local1 | local2 | local3 | local4 | local5 | local6 | local7: facility of
 *       syslog messages (RFC 5424 6.2.1)
 *   audit.syslog_hostname
 *       text of at most 255 characters, none of them a control character: HOSTNAME of syslog messages,
 *       without blanks; empty: not known, and the relay may fill it in
 *   audit.syslog_enterprise = 32473
 *       whole number, 1 to 4294967295: private enterprise number that names structured data of syslog
 *       messages; 32473 is the one for examples (RFC 5612)
 *   callbacks.slow_ms = 1000
 *       whole number, 1 to 3600000 ms: callbacks slower than this are reported
 *   thread.stack_bytes = 0
 *       0, or a whole number, 131072 to 1073741824 bytes: stack of each thread of the client; 0: 1 MiB where
 *       callbacks run, else 512 KiB
 *   close.timeout_ms = 2000
 *       whole number, 0 to 60000 ms: WebSocket close handshake
 *   free.timeout_ms = 5000
 *       whole number, 0 to 600000 ms: longest wait of gwa_client_free(); 0 does not wait
 */
#ifndef GWA_GENESYS_WS_AUTH_H
#define GWA_GENESYS_WS_AUTH_H


#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** For timeout_ms: wait without limit. */
#define GWA_NO_LIMIT 0xFFFFFFFFu

/** Whether the library in use fits the header this program was compiled with: GWA_OK or GWA_E_ABI_MISMATCH. */
#define GWA_CHECK_ABI() gwa_check_abi(GWA_VERSION_NUMBER)

/** Sets up a gwa_metrics_t for gwa_client_metrics(): GWA_METRICS_INIT(&metrics). */
#define GWA_METRICS_INIT(metrics) gwa_metrics_init((metrics), sizeof *(metrics))

/** Sets up a gwa_shutdown_report_t for gwa_client_shutdown(): GWA_SHUTDOWN_REPORT_INIT(&report). */
#define GWA_SHUTDOWN_REPORT_INIT(report) gwa_shutdown_report_init((report), sizeof *(report))


/**
 * Major version of this header. Until it is 1, a new minor version may change the ABI.
 */
#define GWA_VERSION_MAJOR 0

/**
 * Minor version of this header.
 */
#define GWA_VERSION_MINOR 1

/**
 * Patch version of this header.
 */
#define GWA_VERSION_PATCH 0

/**
 * The three in one number that grows with every version; usable in #if.
 */
#define GWA_VERSION_NUMBER (((GWA_VERSION_MAJOR * 1000000) + (GWA_VERSION_MINOR * 1000)) + GWA_VERSION_PATCH)

/**
 * Done.
 */
#define GWA_OK 0

/**
 * Not an error: done, except for a callback that is still running. What is left to do happens when it returns.
 */
#define GWA_DEFERRED 1

/**
 * The handle is NULL, was freed, or is of another type.
 */
#define GWA_E_BAD_HANDLE 4100

/**
 * An argument is NULL, out of range or contradictory.
 */
#define GWA_E_INVALID_ARGUMENT 4101

/**
 * A text argument is not UTF-8.
 */
#define GWA_E_INVALID_UTF8 4102

/**
 * No configuration key has this name.
 */
#define GWA_E_UNKNOWN_KEY 4103

/**
 * The value of a configuration key cannot be used.
 */
#define GWA_E_BAD_VALUE 4104

/**
 * A configuration key that is needed has no value.
 */
#define GWA_E_MISSING_KEY 4105

/**
 * The call does not fit the state the client is in.
 */
#define GWA_E_BAD_STATE 4106

/**
 * The call would wait for the callback it is made from.
 */
#define GWA_E_REENTRANT 4107

/**
 * The work was ended by a shutdown or free.
 */
#define GWA_E_CANCELLED 4108

/**
 * The time allowed for the call is up.
 */
#define GWA_E_TIMEOUT 4109

/**
 * gwa_client_interrupt ended the wait.
 */
#define GWA_E_INTERRUPTED 4110

/**
 * The client is closed and its queue is empty.
 */
#define GWA_E_CLOSED 4111

/**
 * The send queue is at its bound.
 */
#define GWA_E_QUEUE_FULL 4112

/**
 * The data is larger than the configured maximum.
 */
#define GWA_E_TOO_LARGE 4113

/**
 * The program was compiled with a header of another version.
 */
#define GWA_E_ABI_MISMATCH 4114

/**
 * The handle was made before fork().
 */
#define GWA_E_FORKED 4115

/**
 * The trust store cannot be read or holds no certificate.
 */
#define GWA_E_TRUST_STORE 4116

/**
 * The client certificate or its key cannot be used.
 */
#define GWA_E_CLIENT_CERTIFICATE 4117

/**
 * The source of tokens has 19 clients with a channel already; with the spare one they are the 20 that Genesys Cloud allows.
 */
#define GWA_E_CHANNEL_LIMIT 4118

/**
 * The token store cannot be read or written.
 */
#define GWA_E_STORE 4119

/**
 * The host name could not be resolved.
 */
#define GWA_E_DNS 4200

/**
 * No TCP connection could be made to any address.
 */
#define GWA_E_CONNECT 4201

/**
 * Connecting took too long.
 */
#define GWA_E_CONNECT_TIMEOUT 4202

/**
 * The TLS handshake failed.
 */
#define GWA_E_TLS 4203

/**
 * The TLS handshake took too long.
 */
#define GWA_E_TLS_TIMEOUT 4204

/**
 * The server's certificate is expired or not yet valid.
 */
#define GWA_E_CERTIFICATE_EXPIRED 4205

/**
 * The server's certificate is for another host.
 */
#define GWA_E_CERTIFICATE_HOST 4206

/**
 * The server's certificate was not issued by a trusted authority.
 */
#define GWA_E_CERTIFICATE_UNTRUSTED 4207

/**
 * The server's certificate is not acceptable.
 */
#define GWA_E_CERTIFICATE 4208

/**
 * The connection ended without a close.
 */
#define GWA_E_DROPPED 4209

/**
 * The peer did not answer a ping in time.
 */
#define GWA_E_PEER_DEAD 4210

/**
 * The server's certificate is signed by nobody but itself.
 */
#define GWA_E_CERTIFICATE_SELF_SIGNED 4211

/**
 * No key of the server's certificate chain is among tls.pins.
 */
#define GWA_E_CERTIFICATE_PIN 4212

/**
 * The proxy wants other credentials (407).
 */
#define GWA_E_PROXY_AUTH 4220

/**
 * The proxy did not open a way to the host.
 */
#define GWA_E_PROXY_REFUSED 4221

/**
 * The proxy took too long to open a way to the host.
 */
#define GWA_E_PROXY_TIMEOUT 4222

/**
 * The answer is not HTTP, or ended early.
 */
#define GWA_E_HTTP_PROTOCOL 4300

/**
 * The answer took too long.
 */
#define GWA_E_HTTP_TIMEOUT 4301

/**
 * The answer is larger than the configured maximum.
 */
#define GWA_E_RESPONSE_TOO_LARGE 4302

/**
 * The server answered with a redirect; credentials are never sent on.
 */
#define GWA_E_REDIRECT 4303

/**
 * The server is temporarily unable to answer.
 */
#define GWA_E_UNAVAILABLE 4304

/**
 * The server refused the request.
 */
#define GWA_E_HTTP_STATUS 4305

/**
 * Wrong client credentials, or the refresh token is revoked (401).
 */
#define GWA_E_UNAUTHORIZED 4310

/**
 * The OAuth client may not use this grant (403).
 */
#define GWA_E_FORBIDDEN 4311

/**
 * The refresh token, authorization code or assertion is no longer valid.
 */
#define GWA_E_INVALID_GRANT 4312

/**
 * The server limits the rate of requests.
 */
#define GWA_E_THROTTLED 4313

/**
 * The server asks to wait longer than 180 s: a quota is used up.
 */
#define GWA_E_THROTTLED_LONG 4314

/**
 * The token answer is not the JSON object that RFC 6749 5.1 asks for.
 */
#define GWA_E_TOKEN_RESPONSE 4315

/**
 * The token is not a bearer token.
 */
#define GWA_E_TOKEN_TYPE 4316

/**
 * The token lives for less than a second, or was too old on arrival.
 */
#define GWA_E_TOKEN_LIFETIME 4317

/**
 * The token endpoint refused the request.
 */
#define GWA_E_OAUTH 4318

/**
 * The credentials no longer work; somebody has to provide new ones.
 */
#define GWA_E_REAUTH_REQUIRED 4319

/**
 * The token's signature or claims do not pass the checks that were asked for.
 */
#define GWA_E_TOKEN_UNVERIFIED 4320

/**
 * The issuer's keys cannot be had or read (RFC 7517).
 */
#define GWA_E_ISSUER_KEYS 4321

/**
 * The issuer could not be asked about the token (RFC 7662).
 */
#define GWA_E_INTROSPECTION 4322

/**
 * The renewed token is about another subject, client or organisation than the one before it, and is not used.
 */
#define GWA_E_IDENTITY_CHANGED 4323

/**
 * The token lacks required scopes (a 403-class error).
 */
#define GWA_E_SCOPE_DENIED 4400

/**
 * The token looks like a JWT and is not one.
 */
#define GWA_E_TOKEN_MALFORMED 4401

/**
 * The token is opaque and its scopes are not known.
 */
#define GWA_E_SCOPE_UNKNOWN 4402

/**
 * The WebSocket upgrade was refused.
 */
#define GWA_E_UPGRADE_REFUSED 4500

/**
 * The WebSocket upgrade was refused with 401.
 */
#define GWA_E_UPGRADE_UNAUTHORIZED 4501

/**
 * The WebSocket upgrade was refused with 403.
 */
#define GWA_E_UPGRADE_FORBIDDEN 4502

/**
 * There is no WebSocket at this address (404 or 410).
 */
#define GWA_E_UPGRADE_NOT_FOUND 4503

/**
 * The WebSocket upgrade took too long.
 */
#define GWA_E_UPGRADE_TIMEOUT 4504

/**
 * The server refused the authentication message.
 */
#define GWA_E_AUTH_REFUSED 4510

/**
 * The server did not answer the authentication message in time.
 */
#define GWA_E_AUTH_TIMEOUT 4511

/**
 * The server limits the rate of authentications.
 */
#define GWA_E_AUTH_THROTTLED 4512

/**
 * The reply to the authentication message is malformed.
 */
#define GWA_E_AUTH_REPLY 4513

/**
 * The peer broke the WebSocket protocol.
 */
#define GWA_E_WS_PROTOCOL 4520

/**
 * The server closed the WebSocket.
 */
#define GWA_E_WS_CLOSED 4521

/**
 * The peer sent a message above the configured maximum.
 */
#define GWA_E_MESSAGE_TOO_LARGE 4522

/**
 * The token expired before a new one was accepted.
 */
#define GWA_E_TOKEN_EXPIRED 4523

/**
 * Another client has taken the channel or its topics.
 */
#define GWA_E_DISPLACED 4530

/**
 * The channel has expired, was evicted, or its token has ended.
 */
#define GWA_E_CHANNEL_GONE 4531

/**
 * The API refused the channel or the subscription.
 */
#define GWA_E_CHANNEL_REFUSED 4532

/**
 * The channel's connectUri does not lead to the streaming host by wss.
 */
#define GWA_E_CHANNEL_URI 4533

/**
 * The server has revoked the token.
 */
#define GWA_E_TOKEN_REVOKED 4534

/**
 * A callback or the answer to a request reported a failure.
 */
#define GWA_E_CALLBACK_FAILED 4600

/**
 * A defect in the library was caught.
 */
#define GWA_E_PANIC 4900

/**
 * The library could not get what it needs from the system.
 */
#define GWA_E_INTERNAL 4901

/**
 * Not started, or stopped after a failed connect.
 */
#define GWA_STATE_IDLE 0

/**
 * A token request is under way and no socket is live.
 */
#define GWA_STATE_ACQUIRING_TOKEN 1

/**
 * A token's scopes are being checked.
 */
#define GWA_STATE_VERIFYING_TOKEN 2

/**
 * DNS, TCP, TLS or upgrade.
 */
#define GWA_STATE_CONNECTING 3

/**
 * The auth message is sent, its reply awaited.
 */
#define GWA_STATE_AUTHENTICATING 4

/**
 * Authenticated: messages flow.
 */
#define GWA_STATE_READY 5

/**
 * Ready, and a new token is being presented.
 */
#define GWA_STATE_RENEWING 6

/**
 * Ready, but something is wrong: the reason says what.
 */
#define GWA_STATE_DEGRADED 7

/**
 * Waiting before the next attempt.
 */
#define GWA_STATE_RECONNECTING 8

/**
 * The server limits the rate; waiting as long as it asked.
 */
#define GWA_STATE_THROTTLED 9

/**
 * The server asked to go; waiting before the first attempt.
 */
#define GWA_STATE_DRAINING 10

/**
 * Another client took the channel (profile `notifications`).
 */
#define GWA_STATE_DISPLACED 11

/**
 * New credentials are needed.
 */
#define GWA_STATE_REAUTH_REQUIRED 12

/**
 * Closed by the application. Final.
 */
#define GWA_STATE_CLOSED 13

/**
 * Given up. Final.
 */
#define GWA_STATE_FAILED 14

/**
 * A setting or an argument.
 */
#define GWA_CATEGORY_CONFIG 1

/**
 * Name resolution.
 */
#define GWA_CATEGORY_DNS 2

/**
 * TCP.
 */
#define GWA_CATEGORY_TCP 3

/**
 * A proxy on the way.
 */
#define GWA_CATEGORY_PROXY 4

/**
 * TLS, certificates included.
 */
#define GWA_CATEGORY_TLS 5

/**
 * HTTP.
 */
#define GWA_CATEGORY_HTTP 6

/**
 * OAuth 2.0.
 */
#define GWA_CATEGORY_OAUTH 7

/**
 * WebSocket and its authentication.
 */
#define GWA_CATEGORY_WS 8

/**
 * Scopes of a token.
 */
#define GWA_CATEGORY_SCOPE 9

/**
 * A callback of the application.
 */
#define GWA_CATEGORY_CALLBACK 10

/**
 * A panic that was caught.
 */
#define GWA_CATEGORY_PANIC 11

/**
 * Everything else inside the library.
 */
#define GWA_CATEGORY_INTERNAL 12

/**
 * Level of log: something failed that the library cannot mend by itself.
 */
#define GWA_LOG_ERROR 1

/**
 * Level of log: something failed and is tried again.
 */
#define GWA_LOG_WARN 2

/**
 * Level of log: the course of a connection.
 */
#define GWA_LOG_INFO 3

/**
 * Level of log: what support asks for.
 */
#define GWA_LOG_DEBUG 4

/**
 * Level of log: everything; never a secret.
 */
#define GWA_LOG_TRACE 5

/**
 * gwa_audit_verify_finish(): every record is as it was made, and none is missing.
 */
#define GWA_AUDIT_INTACT 1

/**
 * So it is, but the log itself says that records are missing, and where: a full queue, or a run that was not closed.
 */
#define GWA_AUDIT_DECLARED_GAP 2

/**
 * The log ends before the record that gwa_audit_verify_expect() named, or within a line.
 */
#define GWA_AUDIT_TRUNCATED 3

/**
 * A record is not as it was made, or not where it was; "bad" of the report is the first one.
 */
#define GWA_AUDIT_TAMPERED 4

/**
 * Nothing here was made with this key: another key, or no log of a chain.
 */
#define GWA_AUDIT_NOT_A_CHAIN 5

/**
 * A message that arrived.
 */
#define GWA_EVENT_MESSAGE 1

/**
 * The state changed.
 */
#define GWA_EVENT_STATE 2

/**
 * Messages may be missed from here on.
 */
#define GWA_EVENT_GAP_BEGIN 3

/**
 * Messages flow again.
 */
#define GWA_EVENT_GAP_END 4

/**
 * A second socket took over; nothing was missed.
 */
#define GWA_EVENT_HANDOVER 5

/**
 * A new token is in use.
 */
#define GWA_EVENT_TOKEN 6

/**
 * A sent message was handed to the kernel, or returned unsent.
 */
#define GWA_EVENT_SENT 7

/**
 * The library asks something.
 */
#define GWA_EVENT_REQUEST 8

/**
 * An audit record.
 */
#define GWA_EVENT_AUDIT 9

/**
 * A SIEM event.
 */
#define GWA_EVENT_SIEM 10

/**
 * A line of log.
 */
#define GWA_EVENT_LOG 11

/**
 * The machine was suspended for more than 2 s and goes on: gwa_event_clock_ms() says for how long. Given to on_state.
 */
#define GWA_EVENT_RESUMED 12

/**
 * The wall clock was set by more than 2 s: gwa_event_clock_ms() says by how much. Given to on_state.
 */
#define GWA_EVENT_CLOCK_STEP 13

/**
 * The server has answered a subscription: gwa_event_topic_count() and its kin say what became of each topic (profile
 * notifications). Given to on_state.
 */
#define GWA_EVENT_TOPICS 14

/**
 * A renewal changed what is granted: gwa_event_scope_count() and its kin say by which scopes. Given to on_state.
 */
#define GWA_EVENT_SCOPES 15

/**
 * A text message (UTF-8).
 */
#define GWA_TEXT 1

/**
 * A binary message.
 */
#define GWA_BINARY 2

/**
 * Store the refresh token of gwa_request_refresh_token() durably, then complete with no answer (NULL, 0, 0). The
 * server has already forgotten the one before. After token.persist_timeout_ms the new access token is used anyway.
 */
#define GWA_REQUEST_PERSIST_REFRESH_TOKEN 1

/**
 * The credentials no longer work, or there are none yet: get an authorization code (from a person, by a browser, at
 * gwa_request_authorize_url()) and complete with it, or with the whole URL that the browser was sent back to. A code that
 * the server refuses is not asked for again until gwa_client_refresh_now() or gwa_client_set_secret().
 * With token.redirect_listener it need not be answered: show the URL, and free the request.
 */
#define GWA_REQUEST_AUTHORIZATION_CODE 2

/**
 * Get an access token and complete with it and with the time it still lives (token.grant = application). It is asked for
 * when the one before comes near its end, or was refused: then the same one again is a failed attempt. After
 * token.provider_timeout_ms, or earlier while a token is held (a quarter of what is left of it, at least 3 s), the attempt
 * has failed and the question is asked anew, by the same delays as a token request; a token that is still valid is kept.
 */
#define GWA_REQUEST_TOKEN 3

/**
 * For gwa_thread_fn: the thread begins. Nothing but the blocking of signals comes before.
 */
#define GWA_THREAD_STARTED 1

/**
 * For gwa_thread_fn: the thread ends. Nothing of the library's or the application's comes after.
 */
#define GWA_THREAD_ENDING 2

/**
 * For gwa_thread_fn: makes token requests.
 */
#define GWA_THREAD_REFRESH 1

/**
 * For gwa_thread_fn: reads and writes the socket; with delivery = inline it calls on_message.
 */
#define GWA_THREAD_SOCKET 2

/**
 * For gwa_thread_fn: calls all other callbacks; there is none with delivery = poll.
 */
#define GWA_THREAD_DISPATCH 3

/**
 * The server sends the topic's events.
 */
#define GWA_TOPIC_PERMITTED 1

/**
 * It does not: gwa_event_topic_reason() and gwa_event_topic_missing() say why.
 */
#define GWA_TOPIC_REJECTED 2

/**
 * For gwa_client_unregister(): what gwa_config_on_message() registered.
 */
#define GWA_CALLBACK_MESSAGE 1

/**
 * For gwa_client_unregister(): what gwa_config_on_audit() registered.
 */
#define GWA_CALLBACK_AUDIT 2

/**
 * For gwa_client_unregister(): what gwa_config_on_siem() registered.
 */
#define GWA_CALLBACK_SIEM 3

/**
 * For gwa_client_unregister(): what gwa_config_on_state() registered.
 */
#define GWA_CALLBACK_STATE 4

/**
 * For gwa_client_unregister(): what gwa_config_on_token() registered.
 */
#define GWA_CALLBACK_TOKEN 5

/**
 * For gwa_client_unregister(): what gwa_config_on_ask() registered.
 */
#define GWA_CALLBACK_ASK 6

/**
 * For gwa_client_unregister(): what gwa_config_on_sent() registered.
 */
#define GWA_CALLBACK_SENT 7

/**
 * For gwa_client_unregister(): what gwa_config_on_log() registered.
 */
#define GWA_CALLBACK_LOG 8

/**
 * For gwa_client_unregister(): what gwa_config_on_thread() registered.
 */
#define GWA_CALLBACK_THREAD 9

/**
 * Format of gwa_client_stats(): one JSON object without line breaks, as gwa_stats_schema() describes it.
 */
#define GWA_STATS_JSON 1

/**
 * Format of gwa_client_stats() and gwa_metrics_text(): OpenMetrics 1.0, for an HTTP answer of the type
 * `application/openmetrics-text; version=1.0.0; charset=utf-8`.
 */
#define GWA_STATS_OPENMETRICS 2

/**
 * Format of gwa_client_stats() and gwa_metrics_text(): Prometheus's older text format 0.0.4 (`text/plain; version=0.0.4`), which
 * the textfile collector of node_exporter reads.
 */
#define GWA_STATS_PROMETHEUS 3

/**
 * A scope that is granted now and was not before.
 */
#define GWA_SCOPE_ADDED 1

/**
 * A scope that was granted before and is not now; nothing requires it.
 */
#define GWA_SCOPE_REMOVED 2

/**
 * A scope that was granted before and is not now, and that scopes.required names: the new token is not used (scopes.lost).
 */
#define GWA_SCOPE_MISSING 3

/**
 * An audit record or SIEM event: one JSON object and what is needed to file it.
 */
typedef struct gwa_audit gwa_audit_t;

/**
 * A log that is being verified, a plain object. Calls of several threads on one of them wait for each other.
 */
typedef struct gwa_audit_verify gwa_audit_verify_t;

/**
 * One authenticated WebSocket and the threads that keep it alive; a checked handle.
 */
typedef struct gwa_client gwa_client_t;

/**
 * Keys, values and callbacks of clients to be made; a checked handle. Copied when a client is made.
 */
typedef struct gwa_config gwa_config_t;

/**
 * What went wrong, where, and what to do next. Made by a call that failed (then freed by
 * gwa_error_free()), or part of an event.
 */
typedef struct gwa_error gwa_error_t;

/**
 * Something that happened. Lent to a callback for the time of the call, or owned: taken by
 * gwa_client_next_event() or gwa_event_clone() and freed by gwa_event_free(). An owned event may outlive its client.
 */
typedef struct gwa_event gwa_event_t;

/**
 * A question of the library; a checked handle. Answer it once, from any thread, now or later.
 */
typedef struct gwa_request gwa_request_t;

/**
 * A text of the library's, e.g. statistics; freed by gwa_text_free().
 */
typedef struct gwa_text gwa_text_t;

/**
 * A source of tokens for any number of clients of this process; a checked handle.
 */
typedef struct gwa_token_source gwa_token_source_t;

/**
 * An access token. Holds copies of secrets, wiped when it is freed.
 */
typedef struct gwa_token gwa_token_t;

/**
 * Result of a call: GWA_OK, GWA_DEFERRED (no error), or one of GWA_E_... (from 4100 up). Numbers are
 * never changed or used again; a newer library may return new ones.
 */
typedef int32_t gwa_status_t;

/**
 * A message arrived. On gwa-dispatch (delivery = inline: on gwa-socket; poll: in gwa_client_next_event()). `message` lives for
 * the call; gwa_event_clone() keeps it. It may block: messages then wait in the queue, and reading stops when that is full
 * (inline: reading stops at once). It may call the library as each function's "Callback" says. NULL: messages are
 * counted and go nowhere (poll: come as events all the same).
 */
typedef void (*gwa_message_fn)(void *user_data, const gwa_event_t *message);

/**
 * Called exactly once with the user_data of a registration, after the last call of its callback: when the
 * configuration and all clients made from it have let go of it (they are gone, or the callback was replaced or
 * unregistered); before the registering call returns if that fails. On any thread; no lock of the library is held. It
 * may call the library (what would wait for a thread of the client is refused or deferred), and should not block.
 * NULL: nothing is called.
 */
typedef void (*gwa_release_fn)(void *user_data);

/**
 * An audit record, or for gwa_config_on_siem() a SIEM event. On gwa-dispatch (delivery = poll: in
 * gwa_client_next_event()), in order; for each record the audit callback first. Returns 0, or anything else for "failed":
 * that is counted and logged, and harms nothing. `record` lives for the call; gwa_audit_clone() keeps it. It may
 * block: records then wait in the queue (audit.queue_records), and what does not fit is told to both sinks. It may call
 * the library as each function's "Callback" says.
 * NULL: records are made for the other sink alone, or not delivered (poll: come as events all the same).
 */
typedef int32_t (*gwa_audit_fn)(void *user_data, const gwa_audit_t *record);

/**
 * A state change, gap or hand-over: gwa_event_kind() says which. On gwa-dispatch (delivery = poll: in
 * gwa_client_next_event()), in one order with messages. `change` lives for the call; gwa_event_clone() keeps it. It may
 * block, which delays other callbacks. It may call the library as each function's "Callback" says.
 * NULL: not told (poll: comes as an event all the same).
 */
typedef void (*gwa_state_fn)(void *user_data, const gwa_event_t *change);

/**
 * A new token is in use. On gwa-dispatch (delivery = poll: in gwa_client_next_event()). `token` lives for the call;
 * gwa_token_clone() keeps it. It may block, which delays other callbacks. It may call the library as each function's
 * "Callback" says.
 * NULL: not told (poll: comes as an event all the same).
 */
typedef void (*gwa_token_fn)(void *user_data, const gwa_token_t *token);

/**
 * The library asks something: gwa_request_kind() says what. On gwa-dispatch (delivery = poll: in
 * gwa_client_next_event()). `request` is the application's from here on: it is answered by gwa_request_complete() or
 * gwa_request_fail(), now or later, from any thread, or freed by gwa_request_free(). It may block, which delays other
 * callbacks. It may call the library as each function's "Callback" says.
 * NULL: nobody answers, so nothing is asked (poll: comes as an event all the same).
 */
typedef void (*gwa_ask_fn)(void *user_data, gwa_request_t *request);

/**
 * How the message with the id gwa_client_send() gave ended: GWA_OK when its last byte was handed to the kernel, else
 * why it was returned unsent. On gwa-dispatch (delivery = poll: in gwa_client_next_event()). It may block, which delays
 * other callbacks. It may call the library as each function's "Callback" says.
 * NULL: not told (poll: comes as an event all the same).
 */
typedef void (*gwa_sent_fn)(void *user_data, uint64_t id, gwa_status_t outcome);

/**
 * A line of log: level from GWA_LOG_ERROR (1) to GWA_LOG_TRACE (5), part of the library, text without line end.
 * Never a secret. On gwa-dispatch (delivery = poll: in gwa_client_next_event()). The texts live for the call. It may
 * block, which delays other callbacks. It may call the library as each function's "Callback" says.
 * NULL: silent.
 */
typedef void (*gwa_log_fn)(void *user_data, int32_t level, const char *target, const char *text);

/**
 * A thread of the client begins or ends: `moment` is GWA_THREAD_STARTED or GWA_THREAD_ENDING, `thread` one of
 * GWA_THREAD_REFRESH, GWA_THREAD_SOCKET, GWA_THREAD_DISPATCH, `name` what the system calls it, e.g. "gwa-socket". On that
 * thread, first and last of all that runs there, so on several threads at once; signals are blocked already. Made for
 * affinity, priority, attaching to a virtual machine. Each thread that tells its beginning tells its end, also after a
 * panic, and for every start of the client (a connect that fails ends the threads). `name` lives as long as the
 * library. It may block, which delays that thread: a renewal, the socket, other callbacks, or the end of a shutdown. It
 * may call the library as each function's "Callback" says; what waits for a thread of the client is refused. Threads that
 * only look up names (gwa-resolve) belong to no client and are not told.
 * NULL: not told.
 */
typedef void (*gwa_thread_fn)(void *user_data, int32_t moment, int32_t thread, const char *name);

/**
 * What a shutdown left behind. Set up with GWA_SHUTDOWN_REPORT_INIT(); newer versions add fields at the end.
 */
typedef struct gwa_shutdown_report {
    /**
     * Size of the struct the caller has, in bytes.
     */
    uint32_t struct_size;
    /**
     * 1 if every thread is joined and no callback will run again, else 0.
     */
    uint32_t complete;
    /**
     * 1 if no close handshake was left unfinished, also if there was no socket; else 0.
     */
    uint32_t close_handshake;
    /**
     * Resolver threads that are still stuck in getaddrinfo; they hold nothing of this client.
     */
    uint32_t resolvers_stuck;
    /**
     * Audit records that no sink has seen.
     */
    uint64_t audit_undelivered;
    /**
     * Events that no callback has seen.
     */
    uint64_t events_undelivered;
    /**
     * Messages handed back unsent.
     */
    uint64_t messages_unsent;
    /**
     * Name of the callback that is still running, e.g. "on_message", or NULL; lives as long as the library.
     */
    const char *stuck_callback;
} gwa_shutdown_report_t;

/**
 * Counters of a client since it was made. Set up with GWA_METRICS_INIT(); newer versions add fields at the end.
 */
typedef struct gwa_metrics {
    /**
     * Size of the struct the caller has, in bytes.
     */
    uint32_t struct_size;
    /**
     * Share of attempts that succeeded, in thousandths of a percent (0 to 100000); 0 before the first attempt.
     */
    uint32_t success_rate_milli_percent;
    /**
     * Mean latency of an attempt, in microseconds; 0 before the first attempt.
     */
    uint64_t avg_latency_us;
    /**
     * Authentication attempts that succeeded.
     */
    uint64_t success_count;
    /**
     * Authentication attempts that failed.
     */
    uint64_t failure_count;
    /**
     * Sum of the latencies of all attempts, in milliseconds.
     */
    uint64_t total_latency_ms;
    /**
     * All attempts.
     */
    uint64_t request_count;
    /**
     * Renewals accepted.
     */
    uint64_t renewals;
    /**
     * Of these, by hand-over to a second socket.
     */
    uint64_t handovers;
    /**
     * Sockets opened (upgrade finished).
     */
    uint64_t connects;
    /**
     * Sockets lost while live.
     */
    uint64_t drops;
    /**
     * Gaps reported.
     */
    uint64_t gaps;
    /**
     * Token requests made.
     */
    uint64_t token_requests;
    /**
     * Attempts to get a token that failed, sent or not.
     */
    uint64_t token_failures;
    /**
     * Times a server throttled us.
     */
    uint64_t throttles;
    /**
     * Application messages received.
     */
    uint64_t messages_received;
    /**
     * Bytes of application messages received.
     */
    uint64_t bytes_received;
    /**
     * Application messages sent.
     */
    uint64_t messages_sent;
    /**
     * Bytes of application messages sent.
     */
    uint64_t bytes_sent;
    /**
     * Audit records made.
     */
    uint64_t audit_records;
    /**
     * Audit records lost to the queue's bound.
     */
    uint64_t audit_lost;
    /**
     * Audit and SIEM callbacks that reported a failure.
     */
    uint64_t hook_failures;
    /**
     * Callbacks slower than callbacks.slow_ms.
     */
    uint64_t slow_callbacks;
    /**
     * Facts that came when nobody expected them.
     */
    uint64_t senseless_inputs;
    /**
     * Life the old token had left when the last new one took effect, in milliseconds.
     */
    uint64_t last_lead_ms;
    /**
     * REST requests made (profile notifications).
     */
    uint64_t rest_requests;
    /**
     * Of these, those without an answer or with one other than 2xx.
     */
    uint64_t rest_failures;
    /**
     * Channels made (profile notifications); each rollover needs one.
     */
    uint64_t channels;
    /**
     * Renewals that took effect while the old token had its goal of life left.
     */
    uint64_t lead_goals_met;
    /**
     * Tokens whose goal passed before another took effect: the client was Degraded.
     */
    uint64_t lead_goals_missed;
    /**
     * Live sockets lost to a reset, or an end without a close frame.
     */
    uint64_t drops_reset;
    /**
     * Live sockets lost to silence: no pong, no heartbeat.
     */
    uint64_t drops_silence;
    /**
     * Live sockets closed by the server with a code of class retry.
     */
    uint64_t drops_close_retry;
    /**
     * Live sockets closed by the server with a code of class drain.
     */
    uint64_t drops_close_drain;
    /**
     * Live sockets closed by the server with a code of class token.
     */
    uint64_t drops_close_token;
    /**
     * Live sockets closed by the server with a code of class final.
     */
    uint64_t drops_close_final;
    /**
     * Live sockets lost to a fault of TLS.
     */
    uint64_t drops_tls;
    /**
     * Live sockets lost because the peer broke the protocol, or sent too large a message.
     */
    uint64_t drops_protocol;
    /**
     * Live sockets lost because their token had expired or was revoked.
     */
    uint64_t drops_token;
    /**
     * Live sockets lost because their channel was gone or refused.
     */
    uint64_t drops_channel;
    /**
     * Live sockets lost to another client that took the channel.
     */
    uint64_t drops_displaced;
    /**
     * Live sockets lost to anything else.
     */
    uint64_t drops_other;
    /**
     * Attempts that failed in name resolution.
     */
    uint64_t failures_dns;
    /**
     * Attempts that failed in TCP.
     */
    uint64_t failures_tcp;
    /**
     * Attempts that failed at a proxy.
     */
    uint64_t failures_proxy;
    /**
     * Attempts that failed in TLS.
     */
    uint64_t failures_tls;
    /**
     * Attempts that failed in HTTP.
     */
    uint64_t failures_http;
    /**
     * Attempts that failed at the token endpoint.
     */
    uint64_t failures_oauth;
    /**
     * Attempts that the WebSocket's server refused, closed or did not answer.
     */
    uint64_t failures_ws;
    /**
     * Attempts whose token lacks scopes.
     */
    uint64_t failures_scope;
    /**
     * Attempts that failed for anything else.
     */
    uint64_t failures_other;
    /**
     * Length of all gaps that have ended, in milliseconds.
     */
    uint64_t gap_ms;
    /**
     * Messages handed back unsent at the end.
     */
    uint64_t messages_returned;
    /**
     * Times a socket was not read because the event queue was full.
     */
    uint64_t read_pauses;
    /**
     * Lines of log lost because on_log was slow.
     */
    uint64_t log_lost;
    /**
     * Audit records of level info.
     */
    uint64_t audit_info;
    /**
     * Audit records of level notice.
     */
    uint64_t audit_notice;
    /**
     * Audit records of level warning.
     */
    uint64_t audit_warning;
    /**
     * Audit records of level error.
     */
    uint64_t audit_error;
    /**
     * Audit records of level critical.
     */
    uint64_t audit_critical;
    /**
     * Events that wait, or whose callback is running.
     */
    uint64_t events_waiting;
    /**
     * The most events that waited when they were taken out.
     */
    uint64_t events_waiting_most;
    /**
     * Messages that may wait (events.queue_events).
     */
    uint64_t events_bound;
    /**
     * What they take.
     */
    uint64_t event_bytes_waiting;
    /**
     * What they may take (events.queue_bytes).
     */
    uint64_t event_bytes_bound;
    /**
     * Audit records that wait.
     */
    uint64_t audit_waiting;
    /**
     * The most audit records that waited.
     */
    uint64_t audit_waiting_most;
    /**
     * Audit records that may wait (audit.queue_records).
     */
    uint64_t audit_bound;
    /**
     * Messages not yet sent.
     */
    uint64_t sends_waiting;
    /**
     * The most messages that were not yet sent.
     */
    uint64_t sends_waiting_most;
    /**
     * Messages that may wait to be sent (send.queue_messages).
     */
    uint64_t sends_bound;
    /**
     * Their bytes.
     */
    uint64_t send_bytes_waiting;
    /**
     * Bytes that may wait to be sent (send.queue_bytes).
     */
    uint64_t send_bytes_bound;
    /**
     * 1 while there is a token, else 0.
     */
    uint64_t token_held;
    /**
     * Since the token was granted, in milliseconds; 0 without one.
     */
    uint64_t token_age_ms;
    /**
     * Until its renewal starts, in milliseconds; 0 when it is under way, and without a token.
     */
    uint64_t token_renewal_in_ms;
    /**
     * Until it is presented no more, in milliseconds; 0 when that has passed, and without a token.
     */
    uint64_t token_usable_for_ms;
    /**
     * Latency that half of all attempts stay within, in milliseconds.
     */
    uint64_t latency_p50_ms;
    /**
     * Latency that 90 % of all attempts stay within, in milliseconds.
     */
    uint64_t latency_p90_ms;
    /**
     * Latency that 99 % of all attempts stay within, in milliseconds.
     */
    uint64_t latency_p99_ms;
    /**
     * Latency that half of the renewals stay within, in milliseconds.
     */
    uint64_t renewal_p50_ms;
    /**
     * Latency that 90 % of the renewals stay within, in milliseconds.
     */
    uint64_t renewal_p90_ms;
    /**
     * Latency that 99 % of the renewals stay within, in milliseconds.
     */
    uint64_t renewal_p99_ms;
    /**
     * Time from dialling to an open WebSocket that half of the sockets stay within, in milliseconds.
     */
    uint64_t connect_p50_ms;
    /**
     * The same for 90 % of the sockets, in milliseconds.
     */
    uint64_t connect_p90_ms;
    /**
     * The same for 99 % of the sockets, in milliseconds.
     */
    uint64_t connect_p99_ms;
    /**
     * Time that half of the token requests stay within, in milliseconds.
     */
    uint64_t token_request_p50_ms;
    /**
     * Time that 90 % of the token requests stay within, in milliseconds.
     */
    uint64_t token_request_p90_ms;
    /**
     * Time that 99 % of the token requests stay within, in milliseconds.
     */
    uint64_t token_request_p99_ms;
    /**
     * Life left of the old token in the worst 1 % of the renewals, in milliseconds.
     */
    uint64_t lead_p1_ms;
    /**
     * Life left of the old token in the worst 10 % of the renewals, in milliseconds.
     */
    uint64_t lead_p10_ms;
    /**
     * Life left of the old token in the worse half of the renewals, in milliseconds.
     */
    uint64_t lead_p50_ms;
    /**
     * Clients that run on the token source that this one shares; 0: it has one of its own.
     */
    uint64_t source_clients;
    /**
     * Token requests of that source, for all its clients.
     */
    uint64_t source_token_requests;
    /**
     * Its attempts to get a token that failed, sent or not.
     */
    uint64_t source_token_failures;
    /**
     * Times that the token endpoint throttled it.
     */
    uint64_t source_throttles;
    /**
     * Live connections made again after a loss.
     */
    uint64_t reconnects;
    /**
     * Made again for sockets lost to a reset, or an end without a close frame.
     */
    uint64_t reconnects_reset;
    /**
     * Made again for sockets lost to silence: no pong, no heartbeat.
     */
    uint64_t reconnects_silence;
    /**
     * Made again for sockets that the server had closed with a code of class retry.
     */
    uint64_t reconnects_close_retry;
    /**
     * Made again for sockets that the server had closed with a code of class drain.
     */
    uint64_t reconnects_close_drain;
    /**
     * Made again for sockets that the server had closed with a code of class token.
     */
    uint64_t reconnects_close_token;
    /**
     * Made again for sockets that the server had closed with a code of class final.
     */
    uint64_t reconnects_close_final;
    /**
     * Made again for sockets lost to a fault of TLS.
     */
    uint64_t reconnects_tls;
    /**
     * Made again for sockets lost because the peer broke the protocol, or sent too large a message.
     */
    uint64_t reconnects_protocol;
    /**
     * Made again for sockets lost because their token had expired or was revoked.
     */
    uint64_t reconnects_token;
    /**
     * Made again for sockets lost because their channel was gone or refused.
     */
    uint64_t reconnects_channel;
    /**
     * Made again for sockets lost to another client that took the channel.
     */
    uint64_t reconnects_displaced;
    /**
     * Made again for sockets lost to anything else.
     */
    uint64_t reconnects_other;
    /**
     * Token requests made after one that failed.
     */
    uint64_t retries_token_request;
    /**
     * Authentication attempts made after one that failed.
     */
    uint64_t retries_attempt;
} gwa_metrics_t;

/**
 * GWA_VERSION_NUMBER of the library in use, which may be newer than the header.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: safe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint32_t gwa_version_number(void);

/**
 * Version of the library in use, e.g. "0.1.0".
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: safe. Blocking: no.
 * Ownership: the text lives as long as the library. Since: 0.1.0.
 */
const char *gwa_version_string(void);

/**
 * Whether a program compiled with the header of version `header_version` can use this library: the same
 * major version (below 1.0 also the same minor version) and not a newer one. Within these bounds a newer library only
 * adds: functions, constants, keys, and fields at the end of structs that begin with struct_size. Call it first, as
 * GWA_CHECK_ABI(), if library and program are installed apart.
 *
 * Returns GWA_OK or GWA_E_ABI_MISMATCH.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
gwa_status_t gwa_check_abi(uint32_t header_version);

/**
 * The stable name of a status, e.g. "GWA_E_DNS"; "unknown status" for a number that is none.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the text lives as long as the library. Since: 0.1.0.
 */
const char *gwa_status_name(gwa_status_t status);

/**
 * What a status means, in one sentence; "unknown status" for a number that is none.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the text lives as long as the library. Since: 0.1.0.
 */
const char *gwa_status_text(gwa_status_t status);

/**
 * The table of all statuses, for programs that make one of their own: writes number `index`, counted from
 * 0, to `status`. Name and text are those of gwa_status_name() and gwa_status_text().
 *
 * Returns GWA_OK, or GWA_E_INVALID_ARGUMENT behind the last one and for NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
gwa_status_t gwa_status_at(size_t index, gwa_status_t *status);

/**
 * The name of a state, e.g. "Ready" for GWA_STATE_READY; "unknown state" for a number that is none.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: safe. Blocking: no.
 * Ownership: the text lives as long as the library. Since: 0.1.0.
 */
const char *gwa_state_name(int32_t state);

/**
 * The status the failed call returned, one of GWA_E_...; GWA_OK for NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
gwa_status_t gwa_error_code(const gwa_error_t *error);

/**
 * The stable name of the status, e.g. "GWA_E_DNS"; NULL for NULL. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the error keeps the text. Since: 0.1.0.
 */
const char *gwa_error_name(const gwa_error_t *error, size_t *len);

/**
 * The whole error in one line for a log: stage, what the code means, the particulars of the case, the
 * host. Never holds a secret. NULL for NULL. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the error keeps the text. Since: 0.1.0.
 */
const char *gwa_error_message(const gwa_error_t *error, size_t *len);

/**
 * What to do about it, in one sentence; NULL for NULL. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the error keeps the text. Since: 0.1.0.
 */
const char *gwa_error_hint(const gwa_error_t *error, size_t *len);

/**
 * The part of the work that failed, one of GWA_CATEGORY_...; 0 for NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_error_category(const gwa_error_t *error);

/**
 * The category as a word, e.g. "oauth"; NULL for NULL. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the error keeps the text. Since: 0.1.0.
 */
const char *gwa_error_category_name(const gwa_error_t *error, size_t *len);

/**
 * The step during which it happened, as a word: call, configure, resolve, connect, proxy, tls, token,
 * scopes, upgrade, authenticate, renew, live, callback, close. More may be added. NULL for NULL. `len`, if
 * not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the error keeps the text. Since: 0.1.0.
 */
const char *gwa_error_stage(const gwa_error_t *error, size_t *len);

/**
 * HTTP status of the answer (100 to 599), or 0 when there was none.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_error_http_status(const gwa_error_t *error);

/**
 * The `error` member of an OAuth answer (RFC 6749 5.2), e.g. "invalid_grant", or ""; NULL for NULL.
 * `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the error keeps the text. Since: 0.1.0.
 */
const char *gwa_error_oauth_error(const gwa_error_t *error, size_t *len);

/**
 * `errno` of the system call that failed, or 0.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_error_os_errno(const gwa_error_t *error);

/**
 * Number of the TLS alert that was sent or received (RFC 8446 6; 0 is close_notify), or -1 for none.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_error_tls_alert(const gwa_error_t *error);

/**
 * WebSocket close code (RFC 6455 7.4), or 0 for none.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_error_ws_close_code(const gwa_error_t *error);

/**
 * Correlation id of the answer (header ININ-Correlation-Id), for Genesys support, or ""; NULL for NULL.
 * `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the error keeps the text. Since: 0.1.0.
 */
const char *gwa_error_correlation_id(const gwa_error_t *error, size_t *len);

/**
 * Host and port of the peer, e.g. "api.mypurecloud.com:443", or ""; NULL for NULL. `len`, if not NULL,
 * takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the error keeps the text. Since: 0.1.0.
 */
const char *gwa_error_host(const gwa_error_t *error, size_t *len);

/**
 * Which attempt of its round failed, from 1, or 0 where there are no attempts.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint32_t gwa_error_attempt(const gwa_error_t *error);

/**
 * 1 if the same call or request may succeed later without anybody acting, else 0.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_error_retriable(const gwa_error_t *error);

/**
 * 1 if nothing but the application or an administrator can help now, else 0.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_error_fatal(const gwa_error_t *error);

/**
 * How long the server asked to wait, in milliseconds, or -1 if it did not ask.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int64_t gwa_error_retry_after_ms(const gwa_error_t *error);

/**
 * The scopes that are missing, separated by one space, in the order they were required, or ""; NULL for
 * NULL. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the error keeps the text. Since: 0.1.0.
 */
const char *gwa_error_missing_scopes(const gwa_error_t *error, size_t *len);

/**
 * A copy of an error, e.g. of one that is part of an event; NULL for NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees the copy with gwa_error_free(). Since: 0.1.0.
 */
gwa_error_t *gwa_error_clone(const gwa_error_t *error);

/**
 * Frees an error that a call or gwa_error_clone() gave. NULL, and an error that is part of an event,
 * are left alone.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: takes the error. Since: 0.1.0.
 */
void gwa_error_free(gwa_error_t *error);

/**
 * The text, ending with NUL; NULL for NULL. `len`, if not NULL, takes its length in bytes without the NUL.
 * UTF-8. Valid until gwa_text_free().
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the text object keeps it. Since: 0.1.0.
 */
const char *gwa_text_data(const gwa_text_t *text, size_t *len);

/**
 * Frees a text, and wipes it. NULL is nothing.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: takes the text. Since: 0.1.0.
 */
void gwa_text_free(gwa_text_t *text);

/**
 * The access token, a secret; NULL for NULL. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the token object keeps the text and wipes it. Since: 0.1.0.
 */
const char *gwa_token_access_token(const gwa_token_t *token, size_t *len);

/**
 * The token's type as the server wrote it, e.g. "bearer"; NULL for NULL. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the token object keeps the text. Since: 0.1.0.
 */
const char *gwa_token_type(const gwa_token_t *token,
                           size_t *len);

/**
 * The refresh token in force with this token, a secret; NULL if there is none. `len`, if not NULL, takes the
 * length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the token object keeps the text and wipes it. Since: 0.1.0.
 */
const char *gwa_token_refresh_token(const gwa_token_t *token, size_t *len);

/**
 * The scopes the server granted, separated by blanks, or "" if it did not say; NULL for NULL. `len`, if not
 * NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the token object keeps the text. Since: 0.1.0.
 */
const char *gwa_token_scope(const gwa_token_t *token, size_t *len);

/**
 * Lifetime in milliseconds, counted from gwa_token_granted_at_ms(); 0 for NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint64_t gwa_token_expires_in_ms(const gwa_token_t *token);

/**
 * When the request that brought the token began, in milliseconds since 1970 (UTC); 0 for NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint64_t gwa_token_granted_at_ms(const gwa_token_t *token);

/**
 * A copy of a token, e.g. of one that is lent to a callback; NULL for NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees the copy with gwa_token_free(). Since: 0.1.0.
 */
gwa_token_t *gwa_token_clone(const gwa_token_t *token);

/**
 * Frees a token that gwa_client_token() or gwa_token_clone() gave, and wipes it. NULL, and a token that is
 * lent or part of an event, are left alone.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: takes the token. Since: 0.1.0.
 */
void gwa_token_free(gwa_token_t *token);

/**
 * The record as one line without its break; NULL for NULL. It is a JSON object, unless audit.format (of on_audit) or
 * audit.siem_format (of on_siem) is cef or rfc5424. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the record keeps the text. Since: 0.1.0.
 */
const char *gwa_audit_json(const gwa_audit_t *audit,
                           size_t *len);

/**
 * Position in the order of this client's records, from 1, counted once for both sinks; 0 for NULL. on_audit sees every
 * number, or an audit_loss record that names the lost ones (first_lost, last_lost, count), which on_siem is given too.
 * on_siem is not given scope checks: each of its events carries as prev_seq the number of the one it was given before, so
 * that a hole that is no loss can be told.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint64_t gwa_audit_seq(const gwa_audit_t *audit);

/**
 * `event_type` or `action` of the record, e.g. "authentication_attempt"; NULL for NULL. `len`, if not NULL, takes
 * the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the record keeps the text. Since: 0.1.0.
 */
const char *gwa_audit_kind(const gwa_audit_t *audit,
                           size_t *len);

/**
 * 1 for the SIEM form (with severity and source), 0 for the audit form and for NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_audit_is_siem(const gwa_audit_t *audit);

/**
 * A copy of a record, e.g. of one that is lent to a callback; NULL for NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees the copy with gwa_audit_free(). Since: 0.1.0.
 */
gwa_audit_t *gwa_audit_clone(const gwa_audit_t *audit);

/**
 * Frees a record that gwa_audit_clone() gave. NULL, and a record that is lent or part of an event, are left alone.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: takes the record. Since: 0.1.0.
 */
void gwa_audit_free(gwa_audit_t *audit);

/**
 * Begins to verify the log of one sink, whatever its format. `key` is K0 of its chain (audit.chain_key), 64 hexadecimal
 * digits; it is not kept.
 *
 * Returns GWA_OK; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_INVALID_UTF8; GWA_E_BAD_VALUE for anything else.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*out` with gwa_audit_verify_free() and `*err` with gwa_error_free(); NULL for `err` is
 * allowed. Since: 0.1.0.
 */
gwa_status_t gwa_audit_verify_new(const char *key,
                                  size_t len,
                                  gwa_audit_verify_t **out,
                                  gwa_error_t **err);

/**
 * Says that the log has to go at least as far as this record, best a checkpoint that was kept elsewhere: as it was
 * delivered, with or without its line end. Without one nobody can tell whether the last records are missing.
 *
 * Returns GWA_OK; GWA_E_INVALID_ARGUMENT for NULL and for a text that no chain has sealed; GWA_E_BAD_STATE after
 * gwa_audit_verify_finish().
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the record is copied; the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_audit_verify_expect(gwa_audit_verify_t *verify,
                                     const char *record,
                                     size_t len,
                                     gwa_error_t **err);

/**
 * Says that the log begins right after this record, because older files are not at hand: a checkpoint that was verified
 * with them. What is fed may begin earlier: lines up to and with this record are then skipped, which the report says
 * ("skipped"). Before anything is fed.
 *
 * Returns GWA_OK; GWA_E_INVALID_ARGUMENT for NULL and for a text that no chain has sealed; GWA_E_BAD_STATE when lines
 * were fed, and after gwa_audit_verify_finish().
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the record is copied; the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_audit_verify_begin_after(gwa_audit_verify_t *verify,
                                          const char *record,
                                          size_t len,
                                          gwa_error_t **err);

/**
 * Verifies the next bytes of the log: records, each followed by a line feed. They may be cut anywhere; several files are
 * fed one after the other, the oldest first. Memory does not grow with the log.
 *
 * Returns GWA_OK, whatever is found; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_BAD_STATE after gwa_audit_verify_finish().
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the data are not kept; the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_audit_verify_feed(gwa_audit_verify_t *verify,
                                   const void *data,
                                   size_t len,
                                   gwa_error_t **err);

/**
 * The log ends here: writes one of GWA_AUDIT_... to `result`, and to `report`, if that is not NULL, one JSON object:
 * {"result", "lines", "records", "skipped", "verified", "sink", "chain", "bad": {"line", "seq"}, "why", "first":
 * {"boot_id"}, "last": {"line", "seq", "boot_id", "epoch", "mac"}, "torn_line", "gap_count", "gaps": [{"kind", "line",
 * ...}]}, without what does not apply. Afterwards the object can only be freed.
 *
 * Returns GWA_OK, whatever was found; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_BAD_STATE the second time.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*report` with gwa_text_free() and `*err` with gwa_error_free(); NULL for `err` is allowed.
 * Since: 0.1.0.
 */
gwa_status_t gwa_audit_verify_finish(gwa_audit_verify_t *verify,
                                     int32_t *result,
                                     gwa_text_t **report,
                                     gwa_error_t **err);

/**
 * Frees it, finished or not. NULL is nothing.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: takes the object. Since: 0.1.0.
 */
void gwa_audit_verify_free(gwa_audit_verify_t *verify);

/**
 * What an event is, one of GWA_EVENT_...; 0 for NULL. A newer library may have kinds that this header
 * does not name: ignore them.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_event_kind(const gwa_event_t *event);

/**
 * The payload of a message, byte for byte as it arrived, followed by one NUL byte that is not part of it; NULL
 * for any other event and for NULL. `len`, if not NULL, takes the length without the NUL (0 to ws.max_message_bytes).
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the event keeps the payload. Since: 0.1.0.
 */
const void *gwa_event_data(const gwa_event_t *event,
                           size_t *len);

/**
 * GWA_TEXT or GWA_BINARY for a message, else 0.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_event_message_kind(const gwa_event_t *event);

/**
 * Number of the socket a message came by, or of the socket that took over (GWA_EVENT_HANDOVER); else 0. Counts every
 * socket that was dialled, failed ones included, from 1 for each client.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint64_t gwa_event_connection(const gwa_event_t *event);

/**
 * Makes an owned copy of an event, e.g. of one that is lent to a callback. The copy may outlive callback and client.
 *
 * Returns GWA_OK, or GWA_E_INVALID_ARGUMENT for NULL; `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*out` with gwa_event_free(). Since: 0.1.0.
 */
gwa_status_t gwa_event_clone(const gwa_event_t *event,
                             gwa_event_t **out);

/**
 * Frees an event that gwa_client_next_event() or gwa_event_clone() gave, with everything that is part of it.
 * NULL, and an event that is lent to a callback, are left alone.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: takes the event. Since: 0.1.0.
 */
void gwa_event_free(gwa_event_t *event);

/**
 * The state before (GWA_EVENT_STATE), one of GWA_STATE_..., else -1.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_event_state_from(const gwa_event_t *event);

/**
 * The state now (GWA_EVENT_STATE), one of GWA_STATE_..., else -1.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_event_state_to(const gwa_event_t *event);

/**
 * Why the state changed, in a few stable words, e.g. "authenticated" (GWA_EVENT_STATE); else NULL. `len`, if not
 * NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the event keeps the text. Since: 0.1.0.
 */
const char *gwa_event_reason(const gwa_event_t *event,
                             size_t *len);

/**
 * The error behind a state change, the cause of a gap, or why a message was returned unsent; NULL if there is none.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: part of the event, do not free; gwa_error_clone() keeps it longer. Since: 0.1.0.
 */
const gwa_error_t *gwa_event_error(const gwa_event_t *event);

/**
 * Number of the gap, counted from 1 for each client; begin and end carry the same (GWA_EVENT_GAP_BEGIN and _END);
 * else 0.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint64_t gwa_event_gap_number(const gwa_event_t *event);

/**
 * When the lost socket was last heard, in milliseconds since 1970 (UTC), for both gap events; else 0. Ask the
 * server for what happened since then.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint64_t gwa_event_gap_from_ms(const gwa_event_t *event);

/**
 * When messages flowed again, in milliseconds since 1970 (UTC), for GWA_EVENT_GAP_END; else 0.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint64_t gwa_event_gap_to_ms(const gwa_event_t *event);

/**
 * How long the gap was, in milliseconds, time asleep included and independent of the wall clock, for
 * GWA_EVENT_GAP_END; else 0.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint64_t gwa_event_gap_duration_ms(const gwa_event_t *event);

/**
 * Correlation id (metadata.CorrelationId) of the last event before the gap, for both gap events of the profile
 * notifications: where the application's own REST queries for what it missed begin. Empty if no event had come, and in
 * the profile auth-message; NULL for other events. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the event keeps the text. Since: 0.1.0.
 */
const char *gwa_event_gap_correlation_id(const gwa_event_t *event,
                                         size_t *len);

/**
 * Number of the socket that was left (GWA_EVENT_HANDOVER); else 0. gwa_event_connection() is the one in use now.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint64_t gwa_event_previous_connection(const gwa_event_t *event);

/**
 * How long the machine slept (GWA_EVENT_RESUMED), or by how much the wall clock was set, negative when it was set back
 * (GWA_EVENT_CLOCK_STEP), in milliseconds; else 0.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int64_t gwa_event_clock_ms(const gwa_event_t *event);

/**
 * The id gwa_client_send() gave (GWA_EVENT_SENT); else 0.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint64_t gwa_event_sent_id(const gwa_event_t *event);

/**
 * How a sent message ended (GWA_EVENT_SENT): GWA_OK when its last byte was handed to the kernel, else why it was
 * returned unsent. For other events the code of their error, or GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
gwa_status_t gwa_event_outcome(const gwa_event_t *event);

/**
 * The new token (GWA_EVENT_TOKEN), else NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: part of the event, do not free; gwa_token_clone() keeps it longer. Since: 0.1.0.
 */
const gwa_token_t *gwa_event_token(const gwa_event_t *event);

/**
 * What is asked (GWA_EVENT_REQUEST), one of GWA_REQUEST_..., else 0.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_event_request_kind(const gwa_event_t *event);

/**
 * A handle of the question (GWA_EVENT_REQUEST) to answer with gwa_request_complete() or gwa_request_fail(). It may
 * outlive the event. Every call gives a handle of its own; the first answer counts.
 *
 * Returns GWA_OK, or GWA_E_INVALID_ARGUMENT for NULL and for other events, or GWA_E_FORKED for an event of the parent;
 * `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller answers `*out` or frees it with gwa_request_free(). Since: 0.1.0.
 */
gwa_status_t gwa_event_request(const gwa_event_t *event,
                               gwa_request_t **out);

/**
 * The record (GWA_EVENT_AUDIT and GWA_EVENT_SIEM), else NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: part of the event, do not free; gwa_audit_clone() keeps it longer. Since: 0.1.0.
 */
const gwa_audit_t *gwa_event_audit(const gwa_event_t *event);

/**
 * Level of a line of log (GWA_EVENT_LOG), from GWA_LOG_ERROR (1) to GWA_LOG_TRACE (5), else 0.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_event_log_level(const gwa_event_t *event);

/**
 * The part of the library a line of log comes from (GWA_EVENT_LOG), else NULL. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the event keeps the text. Since: 0.1.0.
 */
const char *gwa_event_log_target(const gwa_event_t *event,
                                 size_t *len);

/**
 * A line of log (GWA_EVENT_LOG), without its line end, else NULL. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the event keeps the text. Since: 0.1.0.
 */
const char *gwa_event_log_text(const gwa_event_t *event, size_t *len);

/**
 * What is asked: one of GWA_REQUEST_..., or 0 for a handle that is none. Fail questions you do not know.
 *
 * Thread: any. Callback: allowed. Fork: 0. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_request_kind(const gwa_request_t *request);

/**
 * The refresh token to store (GWA_REQUEST_PERSIST_REFRESH_TOKEN), a secret.
 *
 * Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL and for other questions; `out` is written only
 * with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*out` with gwa_text_free(), which wipes it. Since: 0.1.0.
 */
gwa_status_t gwa_request_refresh_token(const gwa_request_t *request,
                                       gwa_text_t **out);

/**
 * The URL at which a person signs in (GWA_REQUEST_AUTHORIZATION_CODE): token.authorize_url with client.id, token.redirect_uri,
 * scopes.requested, a `state` of this question alone and, as token.pkce has it, a code_challenge. Show it to nobody else.
 *
 * NULL for other questions, and for a handle that is none. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: NULL. Signal: unsafe. Blocking: no.
 * Ownership: the request keeps the text until it is completed, failed or freed. Since: 0.1.0.
 */
const char *gwa_request_authorize_url(const gwa_request_t *request,
                                      size_t *len);

/**
 * Answers a question. `answer` is copied: for GWA_REQUEST_AUTHORIZATION_CODE an authorization code (1 to 4096 bytes, no
 * control characters), or the redirect that brought it (its URL or the query in it, at most 16384 bytes), whose `state` is
 * then compared with that of gwa_request_authorize_url(); an access token (1 byte to 1 MiB of ASCII without control characters; token.max_bytes
 * applies) for GWA_REQUEST_TOKEN; nothing (NULL, 0) for GWA_REQUEST_PERSIST_REFRESH_TOKEN. `expires_in_ms` is how long the
 * access token still lives, or 0: then it was granted just now, for as long as its JWT says (exp minus iat), else for
 * 300 s. What is left less than 1 s is a failed attempt. For all other questions it is 0. An answer that comes after the
 * question timed out is ignored.
 *
 * Returns GWA_OK; GWA_E_BAD_HANDLE (also the second time); GWA_E_INVALID_ARGUMENT (also for a redirect of another `state`),
 * GWA_E_INVALID_UTF8, or GWA_E_OAUTH for a redirect that carries an `error`, and then the question stays open: the person may
 * try again, or gwa_request_fail() ends it.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: with GWA_OK the handle is dead. Since: 0.1.0.
 */
gwa_status_t gwa_request_complete(gwa_request_t *request,
                                  const void *answer,
                                  size_t len,
                                  uint64_t expires_in_ms);

/**
 * Says that there will be no answer. `status` is the application's reason, not GWA_OK; `why`, if not NULL, goes into
 * errors and audit records, so it must hold no secret. For GWA_REQUEST_TOKEN this is a failed attempt, and the question comes again
 * after a delay; with GWA_E_REAUTH_REQUIRED it is final: the client goes to GWA_STATE_REAUTH_REQUIRED and asks no more until
 * gwa_client_refresh_now() or gwa_client_set_secret().
 *
 * Returns GWA_OK; GWA_E_BAD_HANDLE (also the second time); GWA_E_INVALID_ARGUMENT or GWA_E_INVALID_UTF8, and then the
 * question stays open.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: with GWA_OK the handle is dead. Since: 0.1.0.
 */
gwa_status_t gwa_request_fail(gwa_request_t *request,
                              gwa_status_t status,
                              const char *why);

/**
 * Frees a question without an answer: it times out. NULL, and a handle that is dead, are nothing.
 *
 * Thread: any. Callback: allowed. Fork: inert, but the handle is dead there. Signal: unsafe. Blocking: no.
 * Ownership: takes the request. Since: 0.1.0.
 */
void gwa_request_free(gwa_request_t *request);

/**
 * Makes a configuration with the default of every key.
 *
 * Returns GWA_OK, GWA_E_INVALID_ARGUMENT for NULL, or GWA_E_INTERNAL; `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: allowed, for use in the child. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*out` with gwa_config_free(). Since: 0.1.0.
 */
gwa_status_t gwa_config_new(gwa_config_t **out);

/**
 * Frees a configuration; clients made from it keep their copies. Secrets and callbacks that no client has are wiped
 * and released. NULL, and a handle that is dead, are nothing.
 *
 * Thread: any. Callback: allowed. Fork: inert, but the handle is dead there. Signal: unsafe. Blocking: no.
 * Ownership: takes the configuration. Since: 0.1.0.
 */
void gwa_config_free(gwa_config_t *config);

/**
 * Sets a key that is no secret; both texts are UTF-8, end with NUL and are copied. Keys, types, ranges and defaults
 * are listed at the head of this header. An empty value brings back the default.
 *
 * Returns GWA_OK; GWA_E_BAD_HANDLE; GWA_E_UNKNOWN_KEY, naming the nearest key; GWA_E_BAD_VALUE, naming type and range,
 * also for a secret key; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_INVALID_UTF8. After an error nothing is changed.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_config_set(gwa_config_t *config,
                            const char *key,
                            const char *value,
                            gwa_error_t **err);

/**
 * Sets a secret key (client.secret, token.refresh_token, proxy.password, tls.client_key_pem), or any other key whose
 * value has a length instead of a NUL (tls.ca_pem). `value` is UTF-8 and copied; our copy is wiped when the last owner is gone. `len` 0 removes it.
 *
 * Returns as gwa_config_set().
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_config_set_secret(gwa_config_t *config,
                                   const char *key,
                                   const void *value,
                                   size_t len,
                                   gwa_error_t **err);

/**
 * Sets keys from one JSON object of at most 1 MiB, flat ({"token.timeout_ms": 5000}) or nested
 * ({"token": {"timeout_ms": 5000}}). Numbers and flags are JSON numbers and booleans, lists are arrays of texts, all else is
 * text, and the empty text brings back the default: gwa_config_schema() says it key by key. Secrets are refused: they have
 * gwa_config_set_secret(). A key that stands there twice is refused.
 *
 * Returns as gwa_config_set(). All keys are set, or none.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_config_set_json(gwa_config_t *config,
                                 const char *json,
                                 size_t len,
                                 gwa_error_t **err);

/**
 * A JSON Schema (2020-12) of what gwa_config_set_json() accepts: every key with type, range, default and meaning; secrets
 * are writeOnly, and accepted nowhere. Two things it cannot say: the limit of 1 MiB, and that a key stands there once.
 *
 * Returns GWA_OK, or GWA_E_INVALID_ARGUMENT for NULL; `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*out` with gwa_text_free(). Since: 0.1.0.
 */
gwa_status_t gwa_config_schema(gwa_text_t **out);

/**
 * The effective configuration as one flat JSON object: every key with the value it has, by default or derived from other keys
 * (token.url, ws.url, proxy.https, proxy.wss, tls.trust). Secrets are "***" when they are set and null when not; values of
 * headers and URLs with a query, which may carry credentials, are "***" as well. Without these it can be given to
 * gwa_config_set_json() again, and means the same.
 *
 * Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL; `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*out` with gwa_text_free(). Since: 0.1.0.
 */
gwa_status_t gwa_config_json(const gwa_config_t *config,
                             gwa_text_t **out);

/**
 * Sets region, client.id, client.secret and token.refresh_token from the environment variables GENESYS_REGION,
 * GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET and GENESYS_REFRESH_TOKEN. Those that are missing or empty change nothing. The
 * library reads the environment nowhere else, but for gwa_client_new() where the key proxy says environment.
 *
 * Returns as gwa_config_set(). All keys are set, or none.
 *
 * Thread: any, while no other thread changes the environment (getenv(3)). Callback: allowed. Fork: GWA_E_FORKED.
 * Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_config_set_from_env(gwa_config_t *config,
                                     gwa_error_t **err);

/**
 * A message arrived. Replaces the callback set before, whose release is called. NULL for `function` unregisters;
 * `release` is then called at once. Clients made before keep what they have.
 *
 * Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
 */
gwa_status_t gwa_config_on_message(gwa_config_t *config,
                                   gwa_message_fn function,
                                   void *user_data,
                                   gwa_release_fn release);

/**
 * Audit records: one text for each authentication attempt, scope check and other security-relevant step, in the format
 * `audit.format` (a JSON object unless it is cef or rfc5424). Replaces the callback set before, whose release is called.
 * NULL for `function` unregisters; `release` is then called at once. Clients made before keep what they have.
 *
 * Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
 */
gwa_status_t gwa_config_on_audit(gwa_config_t *config,
                                 gwa_audit_fn function,
                                 void *user_data,
                                 gwa_release_fn release);

/**
 * SIEM events: the same steps but scope_validation, each after its audit record, in the format `audit.siem_format`;
 * as native with severity, source and the number before it. Replaces the callback set before, whose release is called.
 * NULL for `function` unregisters; `release` is then called at once. Clients made before keep what they have.
 *
 * Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
 */
gwa_status_t gwa_config_on_siem(gwa_config_t *config,
                                gwa_audit_fn function,
                                void *user_data,
                                gwa_release_fn release);

/**
 * State changes, gaps and hand-overs. Replaces the callback set before, whose release is called. NULL for
 * `function` unregisters; `release` is then called at once. Clients made before keep what they have.
 *
 * Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
 */
gwa_status_t gwa_config_on_state(gwa_config_t *config,
                                 gwa_state_fn function,
                                 void *user_data,
                                 gwa_release_fn release);

/**
 * A new token is in use, with its six fields. Replaces the callback set before, whose release is called. NULL
 * for `function` unregisters; `release` is then called at once. Clients made before keep what they have.
 *
 * Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
 */
gwa_status_t gwa_config_on_token(gwa_config_t *config,
                                 gwa_token_fn function,
                                 void *user_data,
                                 gwa_release_fn release);

/**
 * The library asks something: to store a rotated refresh token, or for an authorization code. Without this
 * callback (and without delivery = poll) refresh tokens are not stored and a client whose credentials die stays
 * in GWA_STATE_REAUTH_REQUIRED. Replaces the callback set before, whose release is called. NULL for `function`
 * unregisters; `release` is then called at once. Clients made before keep what they have.
 *
 * Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
 */
gwa_status_t gwa_config_on_ask(gwa_config_t *config,
                               gwa_ask_fn function,
                               void *user_data,
                               gwa_release_fn release);

/**
 * A message given to gwa_client_send() was sent or returned. Replaces the callback set before, whose release is
 * called. NULL for `function` unregisters; `release` is then called at once. Clients made before keep what they
 * have.
 *
 * Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
 */
gwa_status_t gwa_config_on_sent(gwa_config_t *config,
                                gwa_sent_fn function,
                                void *user_data,
                                gwa_release_fn release);

/**
 * Lines of log. Without this callback the library is silent. Replaces the callback set before, whose release is
 * called. NULL for `function` unregisters; `release` is then called at once. Clients made before keep what they
 * have.
 *
 * Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
 */
gwa_status_t gwa_config_on_log(gwa_config_t *config,
                               gwa_log_fn function,
                               void *user_data,
                               gwa_release_fn release);

/**
 * A thread of the client begins or ends: for affinity, priority, or what else a thread has to be prepared with. Its name
 * is set and signals are blocked already. Replaces the callback set before, whose release is called. NULL for
 * `function` unregisters; `release` is then called at once. Clients made before keep what they have.
 *
 * Returns GWA_OK or GWA_E_BAD_HANDLE; `release` is called exactly once in every case.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: `user_data` is the application's until `release` is called. Since: 0.1.0.
 */
gwa_status_t gwa_config_on_thread(gwa_config_t *config,
                                  gwa_thread_fn function,
                                  void *user_data,
                                  gwa_release_fn release);

/**
 * Makes a client with a copy of the configuration, which is checked as a whole. Starts no thread, calls no callback,
 * opens no connection; reads the file tls.ca_file names; with audit.chain_state reads, writes and syncs that file.
 *
 * Returns GWA_OK; GWA_E_BAD_HANDLE; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_MISSING_KEY or GWA_E_BAD_VALUE, naming the key;
 * GWA_E_TRUST_STORE or GWA_E_STORE (audit.chain_state), naming the file; GWA_E_INTERNAL. `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: reads files, and with
 * audit.chain_state writes one.
 * Ownership: the caller frees `*out` with gwa_client_free(), `*err` with gwa_error_free() (NULL for `err` is allowed), and
 * keeps the configuration. Since: 0.1.0.
 */
gwa_status_t gwa_client_new(const gwa_config_t *config,
                            gwa_client_t **out,
                            gwa_error_t **err);

/**
 * Starts the threads and returns at once. Rounds of attempts go on for ever, under the circuit breaker, until a final
 * state or a shutdown; callbacks tell what happens.
 *
 * Returns GWA_OK; GWA_E_BAD_HANDLE; GWA_E_BAD_STATE if it is started or closed already; GWA_E_CHANNEL_LIMIT if 19 clients of
 * its token source have a channel (profile notifications): one of them has to end first; GWA_E_INTERNAL if the system
 * gives no thread: then it can be started anew, unless on_thread holds a thread that was started up for more than a
 * second, which closes the client.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_client_start(gwa_client_t *client,
                              gwa_error_t **err);

/**
 * Starts the client and waits until it is Ready (GWA_OK), or one round of attempts failed, or the time is up: then
 * everything it started is stopped again and the client can be started anew. Returns after the audit records of its
 * outcome were delivered.
 *
 * `timeout_ms`: 0 does not wait, GWA_NO_LIMIT waits without limit.
 *
 * Returns GWA_OK; GWA_E_TIMEOUT; GWA_E_INTERRUPTED; GWA_E_CANCELLED by a shutdown; GWA_E_BAD_HANDLE; GWA_E_BAD_STATE;
 * GWA_E_REENTRANT; GWA_E_CHANNEL_LIMIT; else what failed, from GWA_E_DNS to GWA_E_TOKEN_REVOKED.
 *
 * Thread: any. Callback: GWA_E_REENTRANT. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to timeout_ms.
 * Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_client_connect(gwa_client_t *client,
                                uint32_t timeout_ms,
                                gwa_error_t **err);

/**
 * Queues a message, which is copied, and gives it an id. The id comes back, with the outcome, in the on_sent callback or
 * a GWA_EVENT_SENT. `kind` is GWA_TEXT (checked to be UTF-8) or GWA_BINARY; `len` 0 sends an empty message.
 *
 * Returns GWA_OK; GWA_E_QUEUE_FULL; GWA_E_TOO_LARGE above ws.max_message_bytes; GWA_E_INVALID_UTF8; GWA_E_INVALID_ARGUMENT;
 * GWA_E_BAD_STATE; GWA_E_CLOSED; GWA_E_BAD_HANDLE. `out_id`, if not NULL, is written only with GWA_OK.
 *
 * Thread: any, also several at once. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller keeps `data` and frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_client_send(gwa_client_t *client,
                             const void *data,
                             size_t len,
                             int32_t kind,
                             uint64_t *out_id,
                             gwa_error_t **err);

/**
 * Asks for a new token now, e.g. after the application's own request was answered with 401, and returns at once. The
 * outcome comes by the on_token or on_state callback. Not more often than once in min(20 s, a quarter of the token's life);
 * token.refresh_floor_ms says how long the 20 s are. A client that another one has displaced comes back.
 *
 * Returns GWA_OK; GWA_E_BAD_STATE if the client is not started; GWA_E_CLOSED; GWA_E_BAD_HANDLE.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_client_refresh_now(gwa_client_t *client,
                                    gwa_error_t **err);

/**
 * Tells the client what the application has learned from a message of the server's: that the socket will end soon.
 * Another socket takes over after a random delay of up to 5 s, and the old one stays in use until then: nothing is
 * missed. Returns at once; the outcome comes by on_state (GWA_STATE_DRAINING, then GWA_EVENT_HANDOVER). Ignored while
 * no socket is live or a replacement is on its way. Close codes that mean the same (1001, 1012, 1013) need no call.
 *
 * Returns GWA_OK; GWA_E_BAD_STATE if the client is not started; GWA_E_CLOSED; GWA_E_BAD_HANDLE.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_client_drain_notice(gwa_client_t *client,
                                     gwa_error_t **err);

/**
 * A token for the application's own REST calls, with at least `min_left_ms` of usable life left (0: any that is valid).
 * Waits for one that is being fetched.
 *
 * `timeout_ms`: 0 does not wait, GWA_NO_LIMIT waits without limit.
 *
 * Returns GWA_OK; GWA_E_TIMEOUT; GWA_E_INTERRUPTED; GWA_E_CANCELLED by a shutdown; GWA_E_BAD_STATE if the client is not
 * started; GWA_E_CLOSED; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_BAD_HANDLE; else what failed. `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed, but it delays other callbacks. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to
 * timeout_ms.
 * Ownership: the caller frees `*out` with gwa_token_free() and `*err` with gwa_error_free(); NULL for `err` is allowed.
 * Since: 0.1.0.
 */
gwa_status_t gwa_client_token(gwa_client_t *client,
                              uint32_t min_left_ms,
                              uint32_t timeout_ms,
                              gwa_token_t **out,
                              gwa_error_t **err);

/**
 * Replaces client.secret, token.refresh_token, token.saml_assertion or proxy.password (where proxy.user is set) of a client,
 * running or not; the next token request, or connection through the proxy, uses it. tls.client_key_pem cannot be replaced: it belongs to its
 * certificate, make another client. A client in GWA_STATE_REAUTH_REQUIRED begins anew; with proxy.password, if that was what was refused.
 * Of a client of gwa_client_new_with_source(), proxy.password is that of its own connections: a token source keeps the one it
 * was made with. `value` is UTF-8 and copied; the old one is wiped when it is no longer in use.
 *
 * Returns GWA_OK; GWA_E_UNKNOWN_KEY or GWA_E_BAD_VALUE, also for a key that is none of these; GWA_E_INVALID_ARGUMENT;
 * GWA_E_INVALID_UTF8; GWA_E_CLOSED; GWA_E_BAD_HANDLE.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_client_set_secret(gwa_client_t *client,
                                   const char *key,
                                   const void *value,
                                   size_t len,
                                   gwa_error_t **err);

/**
 * The configuration in force, as gwa_config_json() writes it; secrets that gwa_client_set_secret() has set are counted in.
 * Which proxies and trust store that comes to is told by gwa_client_stats().
 *
 * Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL; `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*out` with gwa_text_free(). Since: 0.1.0.
 */
gwa_status_t gwa_client_config(gwa_client_t *client,
                               gwa_text_t **out);

/**
 * What the client is doing: writes one of GWA_STATE_... to `state`.
 *
 * Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL; `state` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
gwa_status_t gwa_client_state(gwa_client_t *client, int32_t *state);

/**
 * For delivery = poll: a descriptor that is readable while events wait (level-triggered), for poll, epoll, select and event
 * loops built on them. Do not read from it, write to it or close it; after a shutdown it stays readable until
 * gwa_client_next_event() has returned GWA_E_CLOSED.
 *
 * Returns the descriptor, or -1 for another delivery and for a handle that is none.
 *
 * Thread: any. Callback: allowed. Fork: -1. Signal: unsafe. Blocking: no.
 * Ownership: the client closes it when it is freed. Since: 0.1.0.
 */
int gwa_client_event_fd(gwa_client_t *client);

/**
 * For delivery = poll: takes the next event from the queue, waiting for one if need be. A callback that is registered
 * for it is called on this thread before the function returns. After a shutdown it gives what is left, then GWA_E_CLOSED.
 *
 * `timeout_ms`: 0 does not wait, GWA_NO_LIMIT waits without limit.
 *
 * Returns GWA_OK; GWA_E_TIMEOUT if there is none; GWA_E_INTERRUPTED; GWA_E_CLOSED; GWA_E_BAD_STATE for another delivery;
 * GWA_E_REENTRANT; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_BAD_HANDLE. `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: GWA_E_REENTRANT. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to timeout_ms.
 * Ownership: the caller frees `*out` with gwa_event_free(), also after the client is gone. Since: 0.1.0.
 */
gwa_status_t gwa_client_next_event(gwa_client_t *client,
                                   uint32_t timeout_ms,
                                   gwa_event_t **out);

/**
 * Ends the current or next blocking call (connect, token, next_event) of every thread on this client with
 * GWA_E_INTERRUPTED, once for each thread. Made for signal handlers.
 *
 * Returns GWA_OK or GWA_E_BAD_HANDLE (also while another thread frees the client).
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: safe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
gwa_status_t gwa_client_interrupt(gwa_client_t *client);

/**
 * Stops the client for good: renewal first, then the WebSocket is closed with a code, audit records are delivered, threads
 * joined, all under one deadline. Blocking calls of other threads return GWA_E_CANCELLED. The handle stays valid, and in
 * delivery = poll gives what is left. Called a second time it goes on where the first one stopped.
 *
 * `timeout_ms`: 0 asks for it and does not wait, GWA_NO_LIMIT waits without limit. `report`, if not NULL, says what was
 * left; set it up with GWA_SHUTDOWN_REPORT_INIT() first. It is written with GWA_OK and GWA_DEFERRED.
 *
 * Returns GWA_OK: every thread of the client is joined, no callback will run again (delivery = poll: but those that
 * gwa_client_next_event() calls for what is left, until the client is freed). (Before a plugin unloads the library:
 * a resolver stuck in getaddrinfo, which report.resolvers_stuck counts, may outlive this; link it with -z nodelete.)
 * GWA_DEFERRED: the time was up, or the call came from a callback of this client; the rest is done when what
 * hinders it is over. GWA_E_INVALID_ARGUMENT; GWA_E_BAD_HANDLE. gwa_client_interrupt() does not end it.
 *
 * Thread: any. Callback: GWA_DEFERRED, does not wait. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to timeout_ms.
 * Ownership: the caller frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_client_shutdown(gwa_client_t *client,
                                 uint32_t timeout_ms,
                                 gwa_shutdown_report_t *report,
                                 gwa_error_t **err);

/**
 * Stops the client if it runs, waiting at most free.timeout_ms, and frees it. The handle is dead afterwards, whatever is
 * returned; calls of other threads that are under way end with GWA_E_CANCELLED, gwa_client_next_event() with GWA_E_CLOSED:
 * what was not polled is dropped, and a callback that it is making is waited for. NULL is nothing.
 *
 * Returns GWA_OK: every thread is joined (shared ones are done with this client), no callback of it will run again.
 * GWA_DEFERRED: a callback is still running, or a destructor that the application gave one of the threads
 * (pthread_key_create()); all else is stopped. After a wait of free.timeout_ms release functions run when it returns, and
 * no other callback. From inside a callback, what was received and recorded before is delivered first, and messages that
 * were not sent are returned. GWA_E_BAD_HANDLE if the handle is dead already.
 *
 * In a child of the process that made it: GWA_E_FORKED, the handle is dead there, too, and the child's copies of its
 * descriptors are closed. The client of the parent goes on undisturbed: nothing is sent, waited for, called or released, and
 * memory that its threads share is left. Call it before anything else there closes descriptors by number. (A descriptor
 * that a thread was opening or closing at the moment of the fork may stay open; all of them are closed by exec.)
 *
 * Thread: any. Callback: GWA_DEFERRED, does not wait. Fork: GWA_E_FORKED, closes its descriptors. Signal: unsafe. Blocking: up to
 * free.timeout_ms.
 * Ownership: takes the client; events, errors, texts and tokens it gave live on. Since: 0.1.0.
 */
gwa_status_t gwa_client_free(gwa_client_t *client);

/**
 * Subscribes to more topics of the Notifications API (profile = notifications), before the start or at any time later,
 * and returns at once. What becomes of each is told by a GWA_EVENT_TOPICS, given to on_state. Topics stay through
 * renewals, losses and restarts, until gwa_client_unsubscribe(). One that is there already stands once; `v2.system.*`
 * arrives unasked and is left out. Those of the key notifications.topics come first.
 *
 * `scopes`: what the token must grant for these topics; none if `scope_count` is 0. With a token in force they are compared at
 * once: where one is missing nothing is added and nothing sent. Without, the next token is asked, and topics that lack a
 * scope are told as GWA_TOPIC_REJECTED. Every later token is asked again. An audit record (scope_validation) tells of
 * each outcome; with audit.policy = block it may wait up to 1 s for room. Scopes that cannot be known are a matter of
 * scopes.unknown.
 *
 * Returns GWA_OK; GWA_E_SCOPE_DENIED, GWA_E_SCOPE_UNKNOWN or GWA_E_TOKEN_MALFORMED of the token in force;
 * GWA_E_INVALID_ARGUMENT for NULL, a topic that is not 1 to 200 visible ASCII characters, a scope that is none, and more
 * than 1,000 topics in all; GWA_E_INVALID_UTF8; GWA_E_BAD_STATE in the profile auth-message; GWA_E_CLOSED;
 * GWA_E_BAD_HANDLE. All topics are added, or none.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller keeps `topics` and `scopes` and frees `*err` with gwa_error_free(); NULL for `err` is allowed.
 * Since: 0.1.0.
 */
gwa_status_t gwa_client_subscribe(gwa_client_t *client,
                                  const char *const *topics,
                                  size_t topic_count,
                                  const char *const *scopes,
                                  size_t scope_count,
                                  gwa_error_t **err);

/**
 * Unsubscribes from topics, each written as it was subscribed to, and returns at once; others are ignored. Events that are on
 * their way still arrive.
 *
 * Returns GWA_OK; GWA_E_INVALID_ARGUMENT for NULL and a topic that is not 1 to 200 visible ASCII characters;
 * GWA_E_INVALID_UTF8; GWA_E_BAD_STATE in the profile auth-message; GWA_E_CLOSED; GWA_E_BAD_HANDLE.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller keeps `topics` and frees `*err` with gwa_error_free(); NULL for `err` is allowed. Since: 0.1.0.
 */
gwa_status_t gwa_client_unsubscribe(gwa_client_t *client,
                                    const char *const *topics,
                                    size_t topic_count,
                                    gwa_error_t **err);

/**
 * How many topics a GWA_EVENT_TOPICS tells of; else 0. It tells of all that are subscribed to, whenever an answer of the server
 * differs from the one before. Topics whose scopes a token lacks come in an event of their own.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
size_t gwa_event_topic_count(const gwa_event_t *event);

/**
 * A topic, as it was subscribed to; `index` from 0 to gwa_event_topic_count() - 1, for others NULL. `len`, if not NULL, takes
 * the length. The server expands a combined topic (v2.users.ID?presence&calls): its events arrive under other names.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the event keeps the text. Since: 0.1.0.
 */
const char *gwa_event_topic(const gwa_event_t *event,
                            size_t index,
                            size_t *len);

/**
 * What became of a topic: GWA_TOPIC_PERMITTED or GWA_TOPIC_REJECTED; 0 for an `index` beyond them. A newer library may
 * have further ones.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_event_topic_state(const gwa_event_t *event,
                              size_t index);

/**
 * Why a topic was rejected: the server's reason, or the name of a status (GWA_E_SCOPE_DENIED and the like) where the
 * library did not ask for it; empty for one that is permitted. NULL for an `index` beyond them. `len`, if not NULL, takes
 * the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the event keeps the text. Since: 0.1.0.
 */
const char *gwa_event_topic_reason(const gwa_event_t *event,
                                   size_t index,
                                   size_t *len);

/**
 * The permissions, or scopes, that a rejected topic lacks, separated by commas; empty if none is named. NULL for an
 * `index` beyond them. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the event keeps the text. Since: 0.1.0.
 */
const char *gwa_event_topic_missing(const gwa_event_t *event,
                                    size_t index,
                                    size_t *len);

/**
 * Takes a callback from this client, which goes on without it, and waits until it is not running and has been released.
 * `callback` is one of GWA_CALLBACK_...
 *
 * What the callback would be told from here on goes the way it goes with NULL: messages that wait or arrive are counted
 * and dropped, records and lines of log too; with delivery = poll gwa_client_next_event() goes on to give all but lines of
 * log. Questions that on_ask was given stay open and may be answered; no new ones are asked, and one that was on
 * its way counts as not answered. on_thread does not hear of the end of threads that run.
 *
 * `release` runs inside this call, or on the thread that makes the client's calls (gwa-dispatch; delivery = inline: for
 * on_message gwa-socket). That thread lets go between two calls, so this waits for whatever callback it is in, also for
 * another one. If the configuration or another client made from it still has the callback, `release` waits for those.
 * Do not call it while holding a mutex that a callback or `release` takes: gwa_client_unregister_later() is for that.
 *
 * `timeout_ms`: 0 does not wait, GWA_NO_LIMIT waits without limit. gwa_client_interrupt() does not end it.
 *
 * Returns GWA_OK: this client never calls it again and has let go of it; also if it is not registered, or was
 * unregistered before. GWA_DEFERRED: the time was up, or the call came from this callback (from another one: if the two run
 * on different threads, and from on_thread); it is not called again after the call that may be running or about
 * to begin, and is released then. GWA_E_INVALID_ARGUMENT for what is no callback; GWA_E_BAD_HANDLE.
 *
 * Thread: any. Callback: allowed, does not wait in one of this client, but does in one of another client: two clients that
 * wait for each other's callbacks with GWA_NO_LIMIT wait for ever. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to timeout_ms.
 * Ownership: `user_data` is the application's again when `release` is called. Since: 0.1.0.
 */
gwa_status_t gwa_client_unregister(gwa_client_t *client,
                                   int32_t callback,
                                   uint32_t timeout_ms);

/**
 * As gwa_client_unregister(), but returns at once and never runs `release` inside the call: for callers that hold a
 * mutex which the callback or `release` takes too. A call that is running or about to begin still goes on; `release`
 * says that there will be none after it.
 *
 * `release` runs on gwa-dispatch (delivery = inline: for on_message on gwa-socket); of a client whose threads do not
 * run, on gwa-dispatch as soon as they do. With delivery = poll it runs in gwa_client_next_event(): in the one that is
 * making the call, else in the next one, for which gwa_client_event_fd() becomes readable (it may then have no event to
 * give). gwa_client_shutdown(), gwa_client_free() and gwa_client_unregister() run it, if it is still to be run.
 *
 * Returns GWA_OK, also if it is not registered; GWA_E_INVALID_ARGUMENT for what is no callback; GWA_E_BAD_HANDLE.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: `user_data` is the application's again when `release` is called. Since: 0.1.0.
 */
gwa_status_t gwa_client_unregister_later(gwa_client_t *client,
                                         int32_t callback);

/**
 * Makes a source of tokens with a copy of the configuration: one token request serves all clients that are made with it
 * (gwa_client_new_with_source()). Used of the configuration are the credentials, token.*, scopes.*, connect.*, tls.*, proxy*
 * and close, free and audit settings, and its callbacks: on_token, on_ask, on_audit, on_siem, on_log and on_state tell of the
 * source itself, one at a time on a gwa-dispatch thread of the source (none without callbacks). `delivery` is callbacks.
 * Starts no thread, calls no callback: a gwa-refresh thread runs from when the first client is started until the last one
 * that runs has stopped; the gwa-dispatch thread from then on to the end of the source.
 *
 * When its tokens are refused by the server of one client, by two of them alike or with 403, only that client goes to
 * GWA_STATE_REAUTH_REQUIRED, until its gwa_client_refresh_now() or a new secret; the source goes on for the others, unless the
 * token endpoint refuses the credentials.
 *
 * Returns GWA_OK; GWA_E_BAD_HANDLE; GWA_E_INVALID_ARGUMENT for NULL; GWA_E_MISSING_KEY or GWA_E_BAD_VALUE, naming the key
 * (delivery = poll or inline among them); GWA_E_TRUST_STORE or GWA_E_STORE (audit.chain_state), naming the file;
 * GWA_E_INTERNAL. `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: reads files, and with
 * audit.chain_state writes one.
 * Ownership: the caller frees `*out` with gwa_token_source_free(), `*err` with gwa_error_free() (NULL for `err` is allowed),
 * and keeps the configuration. Since: 0.1.0.
 */
gwa_status_t gwa_token_source_new(const gwa_config_t *config,
                                  gwa_token_source_t **out,
                                  gwa_error_t **err);

/**
 * Frees a source. The handle is dead afterwards, whatever is returned. Clients that were made with it keep it alive and go
 * on, its callbacks included; the last of them to be shut down or freed ends it. NULL is nothing.
 *
 * Returns GWA_OK: clients use it still, or every thread of it is joined and no callback of it will run again. GWA_DEFERRED: no
 * client uses it and a callback of it is still running after free.timeout_ms (or is the one this is called from): release
 * functions run when it returns. GWA_E_BAD_HANDLE if the handle is dead already. GWA_E_FORKED in a child of the process that
 * made it, as gwa_client_free().
 *
 * Thread: any. Callback: allowed, in one of the source itself it gives GWA_DEFERRED when no client uses it, and does not
 * wait. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: up to free.timeout_ms.
 * Ownership: takes the source; errors and tokens it gave live on. Since: 0.1.0.
 */
gwa_status_t gwa_token_source_free(gwa_token_source_t *source);

/**
 * Makes a client, as gwa_client_new() does, whose tokens come from a source. It has socket and dispatch threads of its own;
 * what configures tokens (client.*, token.*) is ignored and may be missing; but who sets token.verify, token.issuer or
 * token.audience with it, gets GWA_E_BAD_VALUE unless the source has the same. scopes.required is checked for this client too, of
 * every token: what the source requires is what it takes from the endpoint. scopes.lost is this client's own; with keep the next
 * token of the source is its next chance. on_token is called for the tokens this client is
 * given; on_ask is never called. gwa_client_set_secret() replaces client.secret and token.refresh_token of the source, for all of its
 * clients, but proxy.password for the connections of this client only: that of the source cannot be replaced.
 * gwa_client_refresh_now() brings a new token to all of them.
 *
 * Returns as gwa_client_new(), and GWA_E_BAD_HANDLE for a source that is dead. `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: reads files, and with
 * audit.chain_state writes one.
 * Ownership: the caller frees `*out` with gwa_client_free(), `*err` with gwa_error_free() (NULL for `err` is allowed), and
 * keeps the configuration and the source, which it may free at once. Since: 0.1.0.
 */
gwa_status_t gwa_client_new_with_source(const gwa_config_t *config,
                                        gwa_token_source_t *source,
                                        gwa_client_t **out,
                                        gwa_error_t **err);

/**
 * Sets up a shutdown report: all 0, and its size. Call it as GWA_SHUTDOWN_REPORT_INIT(report). NULL, and a size below 4, are
 * nothing.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: safe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
void gwa_shutdown_report_init(gwa_shutdown_report_t *report,
                              uint32_t struct_size);

/**
 * Sets up a metrics struct: all 0, and its size. Call it as GWA_METRICS_INIT(metrics). NULL, and a size below 4, are nothing.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: safe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
void gwa_metrics_init(gwa_metrics_t *metrics,
                      uint32_t struct_size);

/**
 * Writes the client's counters. Reads `inout->struct_size`, set by GWA_METRICS_INIT(), and fills what fits into it.
 *
 * Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL and for a struct that was not set up.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
gwa_status_t gwa_client_metrics(gwa_client_t *client,
                                gwa_metrics_t *inout);

/**
 * Metrics and state as text. `format` is GWA_STATS_JSON, GWA_STATS_OPENMETRICS or GWA_STATS_PROMETHEUS. Holds no secret. The
 * samples of the latter two have no label that tells one client from another: see gwa_metrics_text().
 *
 * Returns GWA_OK, GWA_E_BAD_HANDLE, or GWA_E_INVALID_ARGUMENT for NULL and for another format; `out` is written only with
 * GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*out` with gwa_text_free(). Since: 0.1.0.
 */
gwa_status_t gwa_client_stats(gwa_client_t *client,
                              int32_t format,
                              gwa_text_t **out);

/**
 * The metrics of `count` clients as one text in which every family of samples is told once, as both formats ask for. The
 * label `client` of a client's samples has the value `names[i]`; with NULL for `names` it is the client's place in `clients`,
 * from 0. Keep a client's name for as long as the process lives: another name is another time series. `format` is
 * GWA_STATS_OPENMETRICS or GWA_STATS_PROMETHEUS. Without clients the text tells the version of the library alone.
 *
 * Returns GWA_OK; GWA_E_BAD_HANDLE if one of the clients is none; GWA_E_INVALID_ARGUMENT for NULL, for a name that is empty
 * or stands there twice, and for another format; GWA_E_INVALID_UTF8; `out` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: GWA_E_FORKED. Signal: unsafe. Blocking: no.
 * Ownership: the caller keeps `clients` and `names`, and frees `*out` with gwa_text_free(). Since: 0.1.0.
 */
gwa_status_t gwa_metrics_text(gwa_client_t *const *clients,
                              const char *const *names,
                              size_t count,
                              int32_t format,
                              gwa_text_t **out);

/**
 * The JSON of gwa_client_stats() as a JSON Schema (draft 2020-12). Newer versions of the library add members: readers ignore
 * those they do not know.
 *
 * Returns GWA_OK, or GWA_E_INVALID_ARGUMENT for NULL.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*out` with gwa_text_free(). Since: 0.1.0.
 */
gwa_status_t gwa_stats_schema(gwa_text_t **out);

/**
 * Compares the scopes of a token with those an application needs, without a client and without a network. Writes one
 * JSON object: {"isValid", "missingScopes", "grantedScopes", "auditPayload", "verdict"}. A denial is a result, not an error.
 * `token` is not kept.
 *
 * "verdict" is "ok", "missing" or "unknown". Here the token is the one source: its claim `scope` (a text or an array), else
 * `scp`. Its signature is not checked. An opaque token says nothing: "unknown", not valid, everything required is missing. What
 * looks like a JWT and is none is "missing". A client knows more sources, and puts them in an order: a verified claim or the
 * introspection answer, an unverified claim, the token response, GET /api/v2/tokens/me.
 *
 * Returns GWA_OK; GWA_E_INVALID_ARGUMENT for NULL, and for a required scope that is empty or has blanks;
 * GWA_E_INVALID_UTF8. `result_json` is written only with GWA_OK.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the caller frees `*result_json` with gwa_text_free() and `*err` with gwa_error_free(); NULL for `err` is
 * allowed. Since: 0.1.0.
 */
gwa_status_t gwa_scopes_check(const char *token,
                              size_t len,
                              const char *const *required,
                              size_t required_count,
                              gwa_text_t **result_json,
                              gwa_error_t **err);

/**
 * How many scopes a GWA_EVENT_SCOPES tells of; else 0. The grants of the newest token are compared with those of the one before,
 * in a set: their order means nothing. Scopes that are unknown are no change; the next ones that are known are compared with the
 * last that were. A token that is not used because it lacks a required scope is told of as well, once.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
size_t gwa_event_scope_count(const gwa_event_t *event);

/**
 * A scope that is granted now and was not, or the other way round; `index` from 0 to gwa_event_scope_count() - 1, for others
 * NULL. New ones come first. `len`, if not NULL, takes the length.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: the event keeps the text. Since: 0.1.0.
 */
const char *gwa_event_scope(const gwa_event_t *event,
                            size_t index,
                            size_t *len);

/**
 * What became of a scope: GWA_SCOPE_ADDED, GWA_SCOPE_REMOVED or GWA_SCOPE_MISSING; 0 for an `index` beyond them. A newer library
 * may have further ones.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
int32_t gwa_event_scope_change(const gwa_event_t *event,
                               size_t index);

/**
 * How many objects of this library are alive in the process: configurations, clients, requests,
 * and owned events, audit records, errors, tokens and texts. For tests: 0 when all is freed.
 * A client counts until the last call on it has returned.
 *
 * Thread: any. Callback: allowed. Fork: allowed. Signal: unsafe. Blocking: no.
 * Ownership: none. Since: 0.1.0.
 */
uint64_t gwa_debug_live_objects(void);

#ifdef __cplusplus
}
#endif

#endif
