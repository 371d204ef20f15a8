"""Access tokens judged by `PyJWT`, with keys that its `PyJWKClient` reads from the issuer: the cross-check of the simulator's.

Reads JSON from standard input, writes one line of JSON. Usage: ../README.md.
"""

import json
import os
import ssl
import sys
import urllib.request

import jwt

TLS = ssl.create_default_context(cafile=os.environ["GWA_CA_FILE"])
# No proxy of whoever runs the tests.
urllib.request.install_opener(
    urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=TLS))
)


def judge(case, keys):
    """`ok` with header and claims, or the name of the exception."""
    try:
        key = keys.get_signing_key_from_jwt(case["token"])
        whole = jwt.decode_complete(
            case["token"],
            key,
            algorithms=case["algorithms"],
            audience=case["audience"],
            issuer=case["issuer"],
            options={"require": ["exp", "iat", "nbf", "iss", "aud", "sub", "jti"]},
        )
    except (jwt.PyJWTError, jwt.PyJWKClientError) as refusal:
        return {"verdict": type(refusal).__name__, "why": str(refusal)}
    return {"verdict": "ok", "header": whole["header"], "claims": whole["payload"]}


def main():
    asked = json.load(sys.stdin)
    keys = jwt.PyJWKClient(asked["keys"], cache_keys=False, ssl_context=TLS)
    print(json.dumps([judge(case, keys) for case in asked["cases"]]))


main()
