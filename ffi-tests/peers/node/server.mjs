// A server that speaks the `auth-message` profile, made of other people's parts: `ws` and `jsonwebtoken`.
// Usage, options and output: ../README.md.
import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import jwt from 'jsonwebtoken';
import { WebSocketServer } from 'ws';

const { values: args } = parseArgs({
  options: {
    certificate: { type: 'string' },
    ready: { type: 'string' },
    expires: { type: 'string', default: '3600' },
    reauth: { type: 'string', default: 'ack' },
    pump: { type: 'string', default: '0' },
    count: { type: 'string', default: '0' },
    payload: { type: 'string', default: 'both' },
    'drop-after': { type: 'string', default: '0' },
    grace: { type: 'string', default: 'none' },
    'expiry-code': { type: 'string', default: '4401' },
    echo: { type: 'boolean', default: false },
    'keep-refresh-token': { type: 'boolean', default: false },
    scope: { type: 'string', default: 'conversation:read user:read analytics:read' },
    plain: { type: 'boolean', default: false },
    limit: { type: 'string', default: '120' },
  },
});
const AUTH_TIMEOUT_MS = 10_000;
const CLIENT = { id: 'peer-client', secret: 'peer-secret-~1' };
const FIRST_REFRESH_TOKEN = `refresh-${randomUUID()}`;
const seconds = (text) => Number(text) * 1000;
const say = (text) => process.stdout.write(`${text}\n`);

const keys = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const kid = createHash('sha256').update(keys.publicKey).digest('hex').slice(0, 16);
const summary = {
  peer: 'node',
  tokenRequests: { client_credentials: 0, refresh_token: 0, refused: 0 },
  connects: 0,
  auths: 0,
  reauths: 0,
  refusals: 0,
  connections: [],
};

// --- Token endpoint ---

let refreshToken = FIRST_REFRESH_TOKEN;

function knownClient(header = '') {
  const [scheme, text = ''] = header.split(' ');
  if (scheme.toLowerCase() !== 'basic') return false;
  const [id, ...secret] = Buffer.from(text, 'base64').toString().split(':');
  const plain = { id, secret: secret.join(':') };
  const decoded = Object.fromEntries(new URLSearchParams(`id=${plain.id}&secret=${plain.secret}`));
  return [plain, decoded].some((seen) => seen.id === CLIENT.id && seen.secret === CLIENT.secret);
}

function accessToken() {
  const now = Date.now() / 1000;
  const claims = {
    jti: randomUUID(),
    client_id: CLIENT.id,
    scope: args.scope,
    iat: Math.floor(now),
    exp: Math.floor(now) + Math.ceil(Number(args.expires)),
    expires_ms: Date.now() + seconds(args.expires), // sharper than `exp`, for lifetimes of a second
  };
  return jwt.sign(claims, keys.privateKey, { algorithm: 'RS256', keyid: kid });
}

function grant(form) {
  const type = form.get('grant_type');
  const rotated = type === 'refresh_token';
  if (rotated && form.get('refresh_token') !== refreshToken) return [400, { error: 'invalid_grant' }];
  if (!rotated && type !== 'client_credentials') return [400, { error: 'unsupported_grant_type' }];
  summary.tokenRequests[type] += 1;
  if (rotated && !args['keep-refresh-token']) refreshToken = `refresh-${randomUUID()}`;
  const token = { access_token: accessToken(), token_type: 'bearer', expires_in: Number(args.expires), scope: args.scope };
  return [200, rotated ? { ...token, refresh_token: refreshToken } : token];
}

function judge(request, body) {
  if (request.method !== 'POST') return [405, { error: 'method_not_allowed' }];
  if (request.headers['content-type']?.split(';')[0] !== 'application/x-www-form-urlencoded') {
    return [415, { error: 'unsupported_media_type' }];
  }
  if (!knownClient(request.headers.authorization)) return [401, { error: 'invalid_client' }];
  return grant(new URLSearchParams(body));
}

function onRequest(request, response) {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const path = request.url.split('?')[0];
    const found = path === '/oauth/token';
    const [status, answer] = found ? judge(request, Buffer.concat(chunks).toString()) : [404, { error: 'not_found' }];
    if (found && status !== 200) summary.tokenRequests.refused += 1;
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(JSON.stringify(answer));
  });
}

// --- Socket ---

const sessions = new Set();
const live = new Set();

class Connection {
  authenticated = false;
  timers = new Set();

  constructor(socket) {
    this.socket = socket;
    this.record = { id: summary.connections.length + 1, auths: 0, reauths: 0, refusals: 0, resumed: false, sent: 0, received: 0, endedBy: null };
    summary.connections.push(this.record);
    summary.connects += 1;
    live.add(this);
    this.authTimer = this.later(AUTH_TIMEOUT_MS, () => this.close(1008, 'authentication timeout'));
    socket.on('message', (data, isBinary) => this.onMessage(data, isBinary));
    socket.on('error', (error) => (this.record.error = error.message));
    socket.on('close', (code) => {
      live.delete(this);
      this.timers.forEach((timer) => clearTimeout(timer));
      this.record.code = code;
      this.record.endedBy ??= 'client';
      say(`CLOSED ${this.record.id} ${code}`);
    });
  }

  later(ms, action) {
    const timer = setTimeout(action, ms);
    this.timers.add(timer);
    return timer;
  }

  forget(timer) {
    clearTimeout(timer);
    this.timers.delete(timer);
  }

  onMessage(data, isBinary) {
    const frame = isBinary ? null : parse(data);
    if (frame?.type === 'auth') this.onAuth(frame);
    else if (!this.authenticated) this.close(1008, 'not authenticated');
    else this.onApplication(data, isBinary);
  }

  onApplication(data, isBinary) {
    this.record.received += 1;
    if (args.echo) this.socket.send(data, { binary: isBinary });
  }

  onAuth(frame) {
    if (this.authenticated && args.reauth === 'ignore') return;
    const claims = verify(frame.token);
    const fault = claims === null ? 'invalid token' : this.authenticated && args.reauth === 'refuse' ? 'already authenticated' : null;
    if (fault) this.refuse(fault);
    else this.accept(frame, claims);
  }

  refuse(message) {
    this.record.refusals += 1;
    summary.refusals += 1;
    say(`REFUSED ${this.record.id}`);
    this.reply({ type: 'auth', status: 'error', message });
    if (!this.authenticated) this.close(1008, message);
  }

  accept(frame, claims) {
    const what = this.authenticated ? 'reauths' : 'auths';
    this.record[what] += 1;
    summary[what] += 1;
    this.forget(this.authTimer);
    this.sessionId ??= this.session(frame.sessionId);
    this.reply({ type: 'auth', status: 'ok', sessionId: this.sessionId });
    this.watchExpiry(claims.expires_ms);
    if (!this.authenticated) this.start();
    this.authenticated = true;
    say(`${what === 'auths' ? 'AUTH' : 'REAUTH'} ${this.record.id}`);
  }

  session(offered) {
    this.record.resumed = sessions.has(offered);
    const id = this.record.resumed ? offered : randomUUID();
    sessions.add(id);
    return id;
  }

  watchExpiry(expiresMs) {
    if (args.grace === 'none') return;
    this.forget(this.expiryTimer);
    const close = () => this.close(Number(args['expiry-code']), 'token expired');
    this.expiryTimer = this.later(expiresMs - Date.now() + seconds(args.grace), close);
  }

  start() {
    if (Number(args['drop-after']) > 0) this.later(seconds(args['drop-after']), () => this.drop());
    if (Number(args.pump) > 0) this.later(Number(args.pump), () => this.pump());
  }

  // Even numbers go as text and odd ones as binary, unless one of the two is asked for alone.
  pump() {
    if (this.socket.readyState !== this.socket.OPEN) return;
    const seq = this.record.sent;
    const binary = args.payload === 'binary' || (args.payload === 'both' && seq % 2 === 1);
    const text = JSON.stringify({ type: 'event', connection: this.record.id, seq });
    this.socket.send(binary ? Buffer.from(text) : text, { binary });
    this.record.sent += 1;
    if (this.record.sent !== Number(args.count)) this.later(Number(args.pump), () => this.pump());
  }

  reply(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  close(code, reason) {
    this.record.endedBy ??= 'server';
    this.socket.close(code, reason);
  }

  drop() {
    this.record.endedBy ??= 'drop';
    this.socket.terminate();
  }
}

function parse(data) {
  try {
    return JSON.parse(data.toString());
  } catch {
    return null;
  }
}

function verify(token) {
  try {
    const claims = jwt.verify(token, keys.publicKey, { algorithms: ['RS256'], ignoreExpiration: true });
    return Date.now() < claims.expires_ms ? claims : null;
  } catch {
    return null;
  }
}

// --- Life ---

const directory = mkdtempSync(join(tmpdir(), 'gwa-peer-'));
process.on('exit', () => rmSync(directory, { recursive: true, force: true }));
execFileSync('sh', [args.certificate ?? new URL('../certificate.sh', import.meta.url).pathname, directory]);
const read = (name) => readFileSync(join(directory, name));

const tls = { cert: read('leaf.pem'), key: read('leaf.key') };
const http = args.plain ? createPlainServer(onRequest) : createServer(tls, onRequest);
const wss = new WebSocketServer({ server: http, path: '/ws' });
wss.on('connection', (socket) => new Connection(socket));
http.listen(0, '127.0.0.1', () => announce(http.address().port));

function announce(port) {
  const s = args.plain ? '' : 's';
  const exports = Object.entries({
    GENESYS_REGION: 'mypurecloud.com',
    GENESYS_CLIENT_ID: CLIENT.id,
    GENESYS_CLIENT_SECRET: CLIENT.secret,
    GENESYS_REFRESH_TOKEN: FIRST_REFRESH_TOKEN,
    GWA_TOKEN_URL: `http${s}://localhost:${port}/oauth/token`,
    GWA_WS_URL: `ws${s}://localhost:${port}/ws`,
    GWA_CA_FILE: join(directory, 'ca.pem'),
  });
  const text = exports.map(([name, value]) => `export ${name}='${value}'\n`).join('');
  if (args.ready) {
    writeFileSync(`${args.ready}.part`, text, { mode: 0o600 });
    renameSync(`${args.ready}.part`, args.ready);
  }
  say(`${text}READY`);
}

// Says 1001 to everybody, gives them a second to answer, then reports and ends.
let stopping = false;
function stop() {
  if (stopping) return;
  stopping = true;
  http.close();
  live.forEach((connection) => connection.close(1001, 'going away'));
  const deadline = Date.now() + 1000;
  const wait = () => (live.size === 0 || Date.now() > deadline ? finish() : setTimeout(wait, 10));
  wait();
}

function finish() {
  process.stdout.write(`SUMMARY ${JSON.stringify(summary)}\n`, () => process.exit(0));
}

process.on('SIGTERM', stop);
process.stdin.on('end', stop).on('error', stop).resume();
setTimeout(stop, seconds(args.limit));
