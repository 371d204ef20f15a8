// Preloaded before the tutorial: its URLs are `https://api.{region}/…`, so `api.localhost` must be this machine.
// Names under `localhost` are (RFC 6761), but not every resolver knows. Nothing else is changed.
const dns = require('node:dns');

const { lookup } = dns;
dns.lookup = (hostname, options, callback) => {
  const local = hostname === 'localhost' || hostname.endsWith('.localhost');
  return lookup(local ? '127.0.0.1' : hostname, options, callback);
};
