// Access tokens of every algorithm, each signed by `jose` (which `oidc-provider` brings) with a key of its own, and the
// keys as a JWK Set: one JSON text.
import { exportJWK, generateKeyPair, SignJWT } from "jose";

const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "Ed25519", "ES512"];
const keys = [];
const tokens = {};

const token = (alg, key) =>
  new SignJWT({ client_id: "c", scope: "a b", org: "o" })
    .setProtectedHeader({ alg, typ: "at+jwt", kid: alg })
    .setIssuer("https://issuer.example")
    .setAudience(["other", "socket"])
    .setSubject("u")
    .setJti("1")
    .setIssuedAt()
    .setExpirationTime("5m")
    .sign(key);

for (const alg of algorithms) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  keys.push({ ...(await exportJWK(publicKey)), kid: alg, alg, use: "sig" });
  tokens[alg] = await token(alg, privateKey);
}
tokens.HS256 = await token("HS256", new TextEncoder().encode(JSON.stringify(keys[0])));
console.log(JSON.stringify({ keys: { keys }, tokens }));
