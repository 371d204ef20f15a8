#!/bin/sh
# certificate.sh DIR: a certificate authority and a leaf for loopback names, made anew at every start of a peer.
# Leaves DIR/ca.pem, DIR/leaf.pem and DIR/leaf.key. `api.localhost` is what `https://api.{region}` gives for the region `localhost`.
set -eu
dir=$1
umask 077
mkdir -p "$dir"
cat > "$dir/openssl.cnf" <<'END'
[req]
distinguished_name = name
prompt = no
[name]
CN = genesys-ws-auth peer
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, DNS:api.localhost, IP:127.0.0.1, IP:::1
END
request() { openssl req -x509 -config "$dir/openssl.cnf" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 "$@" 2>>"$dir/openssl.log"; }
request -extensions ca -subj "/CN=genesys-ws-auth peer CA" -days 2 -keyout "$dir/ca.key" -out "$dir/ca.pem"
request -extensions leaf -days 1 -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -keyout "$dir/leaf.key" -out "$dir/leaf.pem"
rm "$dir/ca.key"
