// Verifies signed requests as a receiver would. Reads [{secret, key, headers, body}, …] from standard input, the body in
// base64 and the public key raw; prints [{v1, v1a}, …]: what the published package says, and what Node's own Ed25519 does.
import { createPublicKey, verify } from "node:crypto";
import { Webhook } from "standardwebhooks";

const ED25519_SPKI = Buffer.from("302a300506032b6570032100", "hex");

function hmac({ secret, headers }, body) {
  try {
    new Webhook(secret).verify(body, headers, { jsonParse: false });
    return true;
  } catch {
    return false;
  }
}

function ed25519({ key, headers }, body) {
  const der = Buffer.concat([ED25519_SPKI, Buffer.from(key, "base64")]);
  const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
  const before = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`;
  const signed = Buffer.concat([Buffer.from(before), body]);
  const signatures = headers["webhook-signature"].split(" ").filter((one) => one.startsWith("v1a,"));
  return signatures.some((one) => verify(null, signed, publicKey, Buffer.from(one.slice(4), "base64")));
}

let input = "";
for await (const chunk of process.stdin) input += chunk;
const verdicts = JSON.parse(input).map((request) => {
  const body = Buffer.from(request.body, "base64");
  return { v1: hmac(request, body.toString()), v1a: ed25519(request, body) };
});
console.log(JSON.stringify(verdicts));
