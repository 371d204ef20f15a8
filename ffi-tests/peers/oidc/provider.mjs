// `oidc-provider`, an OAuth 2.0 server that others have certified, over TLS, and beside it a socket that speaks the
// `auth-message` profile and lets in whatever token the provider itself finds in its store.
// Usage, options and output: ../README.md.
import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createLocalJWKSet, jwtVerify } from 'jose';
import { Provider } from 'oidc-provider';
import { WebSocketServer } from 'ws';

const { values: args } = parseArgs({
  options: {
    certificate: { type: 'string' },
    'client-key': { type: 'string' },
    'client-alg': { type: 'string', default: 'ES256' },
    expires: { type: 'string', default: '3600' },
    jwt: { type: 'string' },
    limit: { type: 'string', default: '300' },
  },
});
const SECRETS = { 'machine one:&': 'secret ~+/=%:&', desk: 'desk-secret-~1' };
const say = (text) => process.stdout.write(`${text}\n`);

const directory = mkdtempSync(join(tmpdir(), 'gwa-oidc-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
execFileSync('sh', [args.certificate ?? new URL('../certificate.sh', import.meta.url).pathname, directory]);
const read = (name) => readFileSync(join(directory, name));

// --- Clients ---

const user = { grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] };
const machine = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };
const clients = [
  // Letters that survive Basic only when they are form-url-encoded first (RFC 6749 2.3.1).
  { client_id: 'machine one:&', client_secret: SECRETS['machine one:&'], ...machine },
  { client_id: 'desk', client_secret: SECRETS.desk, redirect_uris: ['https://desk.example/callback'], ...user },
  // RFC 8252: a public client, whose redirect may come to any port of the loopback interface.
  {
    client_id: 'pocket',
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback'],
    ...user,
  },
];
if (args['client-key']) {
  const jwk = createPublicKey(readFileSync(args['client-key'])).export({ format: 'jwk' });
  clients.push({
    client_id: 'signer',
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: args['client-alg'],
    jwks: { keys: [{ ...jwk, use: 'sig', alg: args['client-alg'] }] },
    ...machine,
  });
}

// --- Provider ---

// `certificate.sh` names the leaf for localhost; the port is known when the server listens.
const http = createServer({ cert: read('leaf.pem'), key: read('leaf.key') });
await new Promise((listening) => http.listen(0, '127.0.0.1', listening));
const origin = `https://localhost:${http.address().port}`;
const ttl = Number(args.expires);
console.info = console.warn = () => {}; // what it has to say of keys and adapters meant for development

// The keys of an issuer: one of each kind, of which the algorithm asked for takes its own.
const RESOURCE = 'https://resource.example';
const KINDS = [['rsa', { modulusLength: 2048 }], ['ec', { namedCurve: 'P-256' }], ['ec', { namedCurve: 'P-384' }], ['ed25519']];
const makeKeys = () => KINDS.map(([kind, options]) => {
  const { privateKey } = generateKeyPairSync(kind, options);
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig' };
});
let keys = makeKeys();

// Its keys are given to a provider when it is made: with other keys it is another one, over the same store.
const makeProvider = () => new Provider(origin, {
  clients,
  cookies: { keys: ['not a secret'] },
  jwks: { keys },
  features: {
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    introspection: { enabled: true },
    // RFC 8707, with RFC 9068 tokens for the one resource there is.
    resourceIndicators: {
      enabled: Boolean(args.jwt),
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'api:read api:write',
        audience: RESOURCE,
        accessTokenFormat: 'jwt',
        accessTokenTTL: ttl,
        jwt: { sign: { alg: args.jwt } },
      }),
    },
  },
  enabledJWA: {
    clientAuthSigningAlgValues: ['HS256', 'RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'],
  },
  expiresWithSession: () => false,
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  ttl: {
    AccessToken: ttl,
    ClientCredentials: ttl,
    AuthorizationCode: 60,
    Grant: 3600,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
  },
});
const oneLine = (text) => String(text).replaceAll('\n', ' ');
let provider;
let answer;
const serve = () => {
  provider = makeProvider();
  provider.on('grant.success', (ctx) => say(`GRANTED ${ctx.oidc.params.grant_type} ${ctx.oidc.client.clientId}`));
  provider.on('grant.error', (ctx, error) => {
    say(`REFUSED ${error.error} ${oneLine(error.error_detail ?? error.error_description)}`);
  });
  provider.on('grant.revoked', () => say('REVOKED'));
  provider.on('authorization.error', (ctx, error) => say(`UNAUTHORIZED ${error.error} ${oneLine(error.error_description)}`));
  provider.on('server_error', (ctx, error) => say(`BROKEN ${oneLine(error.stack)}`));
  answer = provider.callback();
};
serve();

// New keys, before the old ones or instead of them: what whoever runs it does.
const rotate = (url, response) => {
  keys = [...makeKeys(), ...(url.searchParams.get('old') === 'kept' ? keys : [])];
  serve();
  say(`ROTATED ${keys.length}`);
  response.end('rotated');
};
http.on('request', (request, response) => {
  const url = new URL(request.url, origin);
  if (url.pathname === '/rotate') return rotate(url, response);
  if (url.pathname === '/jwks') say('KEYS');
  if (url.pathname === '/token/introspection') response.on('finish', () => say(`ASKED ${response.statusCode}`));
  // RFC 6749 3.3: a request without a scope gets a default; the provider leaves that to whoever runs it.
  const isDefault = request.url.startsWith('/auth?') && !/[?&]scope=/.test(request.url);
  request.url += isDefault ? '&scope=openid' : '';
  return answer(request, response);
});

// --- Socket ---

// A signed token is in no store: the socket is a resource that verifies it by the keys published now.
const verifies = async (token) => {
  try {
    const published = keys.map(({ kty, crv, x, y, n, e, kid, use }) => ({ kty, crv, x, y, n, e, kid, use }));
    await jwtVerify(token, createLocalJWKSet({ keys: published }), { issuer: origin, audience: RESOURCE, typ: 'at+jwt' });
    return true;
  } catch {
    return false;
  }
};
const isLive = async (token) =>
  args.jwt
    ? verifies(token)
    : Boolean((await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token)));

let connections = 0;
const wss = new WebSocketServer({ server: http, path: '/ws' });
wss.on('connection', (socket) => {
  const id = (connections += 1);
  let accepted = 0;
  socket.on('error', () => {});
  socket.on('close', (code) => say(`CLOSED ${id} ${code}`));
  socket.on('message', async (data) => {
    const frame = JSON.parse(data.toString());
    if (frame.type === 'auth' && (await isLive(frame.token))) {
      socket.send(JSON.stringify({ type: 'auth', status: 'ok', sessionId: `session-${id}` }));
      accepted += 1;
      say(`${accepted === 1 ? 'AUTH' : 'REAUTH'} ${id}`);
    } else {
      say(`REFUSED-AT-SOCKET ${id}`);
      socket.send(JSON.stringify({ type: 'auth', status: 'error', message: 'invalid token' }));
      if (accepted === 0) socket.close(1008, 'invalid token');
    }
  });
});

// --- Life ---

const exports = {
  GWA_ISSUER: origin,
  GWA_TOKEN_URL: `${origin}/token`,
  GWA_AUTHORIZE_URL: `${origin}/auth`,
  GWA_REVOKE_URL: `${origin}/token/revocation`,
  GWA_INTROSPECTION_URL: `${origin}/token/introspection`,
  GWA_KEYS_URL: `${origin}/jwks`,
  GWA_ROTATE_URL: `${origin}/rotate`,
  GWA_AUDIENCE: RESOURCE,
  GWA_WS_URL: `${origin.replace('https', 'wss')}/ws`,
  GWA_CA_FILE: join(directory, 'ca.pem'),
  MACHINE_ID: 'machine one:&',
  MACHINE_SECRET: SECRETS['machine one:&'],
  DESK_ID: 'desk',
  DESK_SECRET: SECRETS.desk,
};
say(`${Object.entries(exports).map(([name, value]) => `export ${name}='${value}'\n`).join('')}READY`);

const stop = () => process.exit(0);
process.on('SIGTERM', stop);
process.stdin.on('end', stop).on('error', stop).resume();
setTimeout(stop, Number(args.limit) * 1000);
