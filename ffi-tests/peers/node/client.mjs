// A client of the `auth-message` profile over `ws` and `axios`: the cross-check of the servers, and of the simulator.
// Usage, options and output: ../README.md.
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { parseArgs } from 'node:util';
import axios from 'axios';
import WebSocket from 'ws';

const { values: args } = parseArgs({
  options: {
    messages: { type: 'string', default: '10' },
    'renew-at': { type: 'string', default: '0' },
    connections: { type: 'string', default: '1' },
    echo: { type: 'boolean', default: false },
    limit: { type: 'string', default: '30' },
  },
});
const env = process.env;
const ca = readFileSync(env.GWA_CA_FILE);
const wanted = Number(args.messages);
const renewAt = Number(args['renew-at']);
const NOTES = ['{"type":"note","text":"\u00fc"}', Buffer.from([0, 1, 254, 255])];

let refreshToken = env.GENESYS_REFRESH_TOKEN;

async function requestToken(refresh_token) {
  const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token });
  const auth = { username: env.GENESYS_CLIENT_ID, password: env.GENESYS_CLIENT_SECRET };
  const options = { auth, proxy: false, httpsAgent: new Agent({ ca }), validateStatus: () => true };
  return axios.post(env.GWA_TOKEN_URL, form, options);
}

async function newToken() {
  const { status, data } = await requestToken(refreshToken);
  if (status !== 200) throw new Error(`token endpoint: ${status} ${JSON.stringify(data)}`);
  refreshToken = data.refresh_token ?? refreshToken;
  return data.access_token;
}

// The peers send JSON as binary, the simulator eight big-endian bytes first.
function binarySeq(data) {
  return data[0] === '{'.charCodeAt(0) ? JSON.parse(data.toString()).seq : Number(data.readBigUInt64BE(0));
}

// One connection, from the upgrade to the close; resolves with what was seen.
function converse(token, offered) {
  const seen = { text: 0, binary: 0, disorder: 0, echoed: 0, auth: null, renewal: null, sessionId: null, renewedSessionId: null };
  let last = null;
  const socket = new WebSocket(env.GWA_WS_URL, { ca });
  const auth = (fields) => socket.send(JSON.stringify({ type: 'auth', ...fields }));

  function onAuth(frame) {
    if (seen.auth === null) {
      seen.auth = frame.message ?? frame.status;
      seen.sessionId = frame.sessionId ?? null;
      if (args.echo && frame.status === 'ok') NOTES.forEach((note) => socket.send(note));
    } else {
      seen.renewal = frame.message ?? frame.status;
      seen.renewedSessionId = frame.sessionId ?? null;
    }
  }

  function onEvent(seq, binary) {
    if (last !== null && seq !== last + 1) seen.disorder += 1;
    last = seq;
    seen[binary ? 'binary' : 'text'] += 1;
    if (seen.text + seen.binary === renewAt) newToken().then((renewed) => auth({ token: renewed }));
  }

  function isDone() {
    const enough = wanted > 0 && seen.text + seen.binary >= wanted;
    return enough && (renewAt === 0 || seen.renewal !== null) && (!args.echo || seen.echoed === NOTES.length);
  }

  socket.on('open', () => auth(offered ? { token, sessionId: offered } : { token }));
  socket.on('message', (data, binary) => {
    if (NOTES.some((note) => Buffer.isBuffer(note) === binary && data.equals(Buffer.from(note)))) {
      seen.echoed += 1;
    } else if (binary) {
      onEvent(binarySeq(data), true);
    } else {
      const frame = JSON.parse(data.toString());
      if (frame.type === 'auth') onAuth(frame);
      else onEvent(frame.seq, false);
    }
    if (isDone()) socket.close(1000, 'done');
  });
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', (code, reason) => resolve({ ...seen, code, reason: reason.toString() }));
  });
}

setTimeout(() => {
  console.error('out of time');
  process.exit(3);
}, Number(args.limit) * 1000).unref();

async function main() {
  const first = refreshToken;
  const connections = [];
  for (let n = 0; n < Number(args.connections); n += 1) {
    connections.push(await converse(await newToken(), connections.at(-1)?.sessionId));
  }
  const spent = await requestToken(first);
  console.log(JSON.stringify({ peer: 'node', connections, spentRefreshToken: spent.data.error ?? spent.status }));
  return 0;
}

function fail(error) {
  console.error(error.message); // the whole object would show the client's secret: axios puts the request into it
  process.exit(1);
}

process.on('unhandledRejection', fail);
main().then(process.exit, fail);
