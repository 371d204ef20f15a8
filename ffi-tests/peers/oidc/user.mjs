// What people and other programs do at an OAuth server, over HTTPS by hand: trusts NODE_EXTRA_CA_CERTS.
//   node user.mjs login URL [--deny] [--visit]   signs in at an authorization URL; says `LOCATION …`, where that leads,
//                                                and with --visit what answers there
//   node user.mjs get URL [--method M] [--host H]   asks for any URL; says `STATUS …`, `HEADERS …`, `BODY …`
//   node user.mjs post URL [--id ID --secret S] NAME=VALUE…   posts a form; says `STATUS …`, then `BODY …`
import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import { parseArgs } from 'node:util';

const { values: args, positionals: [what, address, ...fields] } = parseArgs({
  allowPositionals: true,
  options: {
    deny: { type: 'boolean', default: false },
    visit: { type: 'boolean', default: false },
    method: { type: 'string', default: 'GET' },
    host: { type: 'string' },
    id: { type: 'string' },
    secret: { type: 'string' },
  },
});
const say = (text) => process.stdout.write(`${text}\n`);
const cookies = new Map();

function ask(url, { method = 'GET', headers = {}, body } = {}) {
  const request = url.protocol === 'https:' ? secure : plain;
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, timeout: 30_000 }, (answer) => {
      const chunks = [];
      answer.on('data', (chunk) => chunks.push(chunk));
      answer.on('end', () => resolve({ answer, text: Buffer.concat(chunks).toString() }));
    });
    sent.on('error', reject).on('timeout', () => sent.destroy(new Error('no answer')));
    sent.end(body);
  });
}

function form(pairs, headers = {}) {
  const body = new URLSearchParams(pairs).toString();
  return { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } };
}

async function browse(url, options = {}) {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  const { answer, text } = await ask(url, { ...options, headers: { ...options.headers, cookie } });
  for (const line of answer.headers['set-cookie'] ?? []) {
    const [name, ...value] = line.split(';')[0].split('=');
    cookies.set(name, value.join('='));
  }
  return { answer, text };
}

// Follows redirects, signs in and consents until the server sends us elsewhere.
async function login(start) {
  let url = new URL(start);
  let options;
  for (let step = 0; step < 20; step += 1) {
    const { answer, text } = await browse(url, options);
    options = undefined;
    if (answer.headers.location) {
      const next = new URL(answer.headers.location, url);
      if (next.origin !== url.origin) return next;
      url = next;
    } else if (answer.statusCode === 200 && args.deny) {
      url = new URL(/href="([^"]*\/abort)"/.exec(text)[1], url);
    } else if (answer.statusCode === 200) {
      const prompt = /name="prompt" value="(\w+)"/.exec(text)[1];
      url = new URL(/<form[^>]* action="([^"]+)"/.exec(text)[1], url);
      options = form({ prompt, login: 'somebody', password: 'anything' });
    } else {
      throw new Error(`${answer.statusCode}: ${text}`);
    }
  }
  throw new Error('no end of redirects');
}

async function visit(url) {
  const { answer, text } = await ask(url, { method: args.method, headers: args.host ? { host: args.host } : {} });
  say(`STATUS ${answer.statusCode}`);
  say(`HEADERS ${JSON.stringify(answer.headers)}`);
  say(`BODY ${JSON.stringify(text)}`);
}

async function main() {
  if (what === 'get') return visit(new URL(address));
  if (what === 'login') {
    const location = await login(address);
    say(`LOCATION ${location}`);
    return args.visit ? visit(location) : undefined;
  }
  const pairs = fields.map((field) => [field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1)]);
  const encode = (field) => new URLSearchParams({ x: field }).toString().slice(2);
  const basic = args.id && `Basic ${Buffer.from(`${encode(args.id)}:${encode(args.secret)}`).toString('base64')}`;
  const { answer, text } = await ask(new URL(address), form(pairs, basic ? { authorization: basic } : {}));
  say(`STATUS ${answer.statusCode}`);
  say(`BODY ${text.replaceAll('\n', ' ')}`);
}

await main();
