// A client of the `notifications` profile over `ws`, `axios` and `jsonwebtoken`: the cross-check of the simulator.
// Usage, options and output: ../README.md.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { parseArgs } from 'node:util';
import axios from 'axios';
import jwt from 'jsonwebtoken';
import WebSocket from 'ws';

const { values: args } = parseArgs({
  options: {
    topic: { type: 'string', multiple: true, default: [] },
    events: { type: 'string', default: '0' },
    rollovers: { type: 'string', default: '0' },
    key: { type: 'string' },
    limit: { type: 'string', default: '60' },
  },
});
const env = process.env;
const ca = readFileSync(env.GWA_CA_FILE);
const httpsAgent = new Agent({ ca });
const wanted = Number(args.events);
const seen = { unique: 0, pairs: 0, twice: 0, heartbeats: 0, pongs: 0, states: [], system: [], closes: [], sockets: [] };
const known = new Map(); // by correlation id and body: the sockets it came by
let waiting = [];

function tokenForm() {
  const form = new URLSearchParams({ grant_type: 'client_credentials' });
  if (args.key === undefined) return { form, auth: { username: env.GENESYS_CLIENT_ID, password: env.GENESYS_CLIENT_SECRET } };
  const claims = { iss: env.GENESYS_CLIENT_ID, sub: env.GENESYS_CLIENT_ID, aud: env.GWA_API_URL, jti: randomUUID() };
  form.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer');
  form.set('client_assertion', jwt.sign(claims, readFileSync(args.key), { algorithm: 'RS256', expiresIn: 60 }));
  return { form };
}

async function newToken() {
  const { form, auth } = tokenForm();
  const { data } = await axios.post(env.GWA_TOKEN_URL, form, { auth, proxy: false, httpsAgent });
  return data.access_token;
}

function api(token, method, path, data) {
  const headers = { Authorization: `Bearer ${token}` };
  const url = `${env.GWA_API_URL}/api/v2/notifications/channels${path}`;
  return axios.request({ method, url, data, headers, proxy: false, httpsAgent, validateStatus: () => true });
}

function onFrame(frame, socket) {
  if (frame.topicName === 'channel.metadata') {
    seen[frame.eventBody.message === 'pong' ? 'pongs' : 'heartbeats'] += 1;
  } else if (frame.topicName.startsWith('v2.system.')) {
    seen.system.push(frame.topicName);
  } else {
    const name = frame.metadata.CorrelationId + JSON.stringify(frame.eventBody);
    const before = known.get(name) ?? [];
    seen[before.length === 0 ? 'unique' : before.includes(socket) ? 'twice' : 'pairs'] += 1;
    seen.sockets[socket] += 1;
    known.set(name, [...before, socket]);
  }
  waiting = waiting.filter(({ enough, done }) => !(enough() && (done(), true)));
}

const until = (enough) => new Promise((done) => (enough() ? done() : waiting.push({ enough, done })));

// A channel with its topics and a socket that has said something.
async function open() {
  const token = await newToken();
  const { data: channel } = await api(token, 'POST', '');
  const topics = args.topic.map((id) => ({ id }));
  const { data } = await api(token, 'PUT', `/${channel.id}/subscriptions?ignoreErrors=true`, topics);
  seen.states = data.entities.map((entity) => entity.state);
  const number = seen.sockets.push(0) - 1;
  const socket = new WebSocket(channel.connectUri, { ca });
  const closed = new Promise((done) => socket.on('close', (code) => done(seen.closes.push(code))));
  await new Promise((live, failed) => {
    socket.on('error', failed);
    socket.on('open', () => socket.send('{"message":"ping"}'));
    socket.on('message', (data) => {
      onFrame(JSON.parse(data.toString()), number);
      live();
    });
  });
  return { token, channel, socket, closed };
}

// The status of a further handshake: the server has refused it.
function handshake(uri) {
  return new Promise((done) => {
    const socket = new WebSocket(uri, { ca });
    socket.on('unexpected-response', (_, answer) => done(answer.statusCode));
    socket.on('open', () => done(101));
    socket.on('error', () => {});
  });
}

async function main() {
  let live = await open();
  console.log('LIVE');
  const rollovers = Number(args.rollovers);
  for (let n = 1; n <= rollovers; n += 1) {
    await until(() => seen.unique >= (n * wanted) / (rollovers + 1));
    const next = await open();
    await api(live.token, 'DELETE', `/${live.channel.id}/subscriptions`);
    live.socket.close(1000, 'rolled over');
    await live.closed;
    live = next;
  }
  if (wanted > 0) {
    await until(() => seen.unique >= wanted);
    live.socket.close(1000, 'done');
  }
  await live.closed;
  const head = wanted > 0 ? null : (await api(live.token, 'HEAD', `/${live.channel.id}`)).status;
  const again = wanted > 0 ? null : await handshake(live.channel.connectUri);
  console.log(JSON.stringify({ peer: 'node', ...seen, head, again }));
  return 0;
}

function fail(error) {
  console.error(error.message); // the whole object would show the client's secret: axios puts the request into it
  process.exit(1);
}

setTimeout(() => fail(new Error('out of time')), Number(args.limit) * 1000).unref();
process.on('unhandledRejection', fail);
main().then(process.exit, fail);
