"""A client of the `notifications` profile over `websockets` and `urllib`: the cross-check of the simulator.

Usage, options and output: ../README.md.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import secrets
import ssl
import urllib.error
import urllib.parse
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

ENV = os.environ
TLS = ssl.create_default_context(cafile=ENV["GWA_CA_FILE"])
REDIRECT_URI = "http://127.0.0.1:9/callback"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--topic", action="append", default=[])
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--rollovers", type=int, default=0)
    parser.add_argument("--pkce", action="store_true")
    parser.add_argument("--limit", type=float, default=60)
    return parser.parse_args()


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=TLS), NoRedirect
)


def ask(method, url, body=None, headers=None):
    """Status, headers and JSON of the answer, whatever the status."""
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        answer = OPENER.open(request, timeout=20)
    except urllib.error.HTTPError as refusal:
        answer = refusal
    with answer:
        text = answer.read()
        kind = answer.headers.get("Content-Type", "")
        return answer.status, answer.headers, json.loads(text) if text and kind == "application/json" else None


def post_token(fields, headers):
    form = urllib.parse.urlencode(fields).encode()
    status, _, answer = ask("POST", ENV["GWA_TOKEN_URL"], form, headers)
    if status != 200:
        raise RuntimeError(f"token endpoint: {status} {answer}")
    return answer["access_token"]


def credentials_token():
    pair = ":".join(urllib.parse.quote_plus(ENV[name]) for name in ("GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"))
    basic = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    return post_token({"grant_type": "client_credentials"}, basic)


def pkce_token():
    """RFC 7636, as a public client."""
    verifier, state = secrets.token_urlsafe(64), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {"response_type": "code", "client_id": ENV["GENESYS_CLIENT_ID"], "redirect_uri": REDIRECT_URI}
    query |= {"state": state, "code_challenge": challenge, "code_challenge_method": "S256"}
    status, headers, _ = ask("GET", ENV["GWA_AUTHORIZE_URL"] + "?" + urllib.parse.urlencode(query))
    where = urllib.parse.urlsplit(headers["Location"] or "")
    fields = dict(urllib.parse.parse_qsl(where.query))
    if status != 302 or fields.get("state") != state:
        raise RuntimeError(f"authorize: {status} {headers['Location']}")
    form = {"grant_type": "authorization_code", "code": fields["code"], "redirect_uri": REDIRECT_URI}
    return post_token(form | {"client_id": ENV["GENESYS_CLIENT_ID"], "code_verifier": verifier}, {})


def api(token, method, path, topics=None):
    url = ENV["GWA_API_URL"] + "/api/v2/notifications/channels" + path
    body = None if topics is None else json.dumps([{"id": topic} for topic in topics]).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    status, _, answer = ask(method, url, body, headers)
    return status, answer


class Client:
    def __init__(self, args):
        self.args = args
        self.seen = dict.fromkeys(("unique", "pairs", "twice", "heartbeats", "pongs"), 0)
        self.seen |= {name: [] for name in ("states", "system", "closes", "sockets")}
        self.known = {}
        self.changed = asyncio.Condition()

    def on_frame(self, frame, number):
        if frame["topicName"] == "channel.metadata":
            self.seen["pongs" if frame["eventBody"]["message"] == "pong" else "heartbeats"] += 1
        elif frame["topicName"].startswith("v2.system."):
            self.seen["system"].append(frame["topicName"])
        else:
            name = frame["metadata"]["CorrelationId"] + json.dumps(frame["eventBody"], sort_keys=True)
            before = self.known.setdefault(name, [])
            self.seen["unique" if not before else "twice" if number in before else "pairs"] += 1
            self.seen["sockets"][number] += 1
            before.append(number)

    async def read(self, socket, number, live):
        try:
            async for text in socket:
                self.on_frame(json.loads(text), number)
                live.set()
                async with self.changed:
                    self.changed.notify_all()
        except ConnectionClosed:
            pass
        self.seen["closes"].append(socket.close_code)

    async def until(self, unique):
        async with self.changed:
            await self.changed.wait_for(lambda: self.seen["unique"] >= unique)

    async def open(self):
        """A channel with its topics and a socket that has said something."""
        token = await asyncio.to_thread(pkce_token if self.args.pkce else credentials_token)
        _, channel = await asyncio.to_thread(api, token, "POST", "")
        path = f"/{channel['id']}/subscriptions?ignoreErrors=true"
        _, answer = await asyncio.to_thread(api, token, "PUT", path, self.args.topic)
        self.seen["states"] = [entity["state"] for entity in answer["entities"]]
        self.seen["sockets"].append(0)
        socket = await connect(channel["connectUri"], ssl=TLS, proxy=None)
        live = asyncio.Event()
        reader = asyncio.ensure_future(self.read(socket, len(self.seen["sockets"]) - 1, live))
        await socket.send('{"message":"ping"}')
        await live.wait()
        return token, channel, socket, reader

    async def run(self):
        token, channel, socket, reader = await self.open()
        print("LIVE", flush=True)
        for n in range(1, self.args.rollovers + 1):
            await self.until(n * self.args.events / (self.args.rollovers + 1))
            following = await self.open()
            await asyncio.to_thread(api, token, "DELETE", f"/{channel['id']}/subscriptions")
            await socket.close(1000, "rolled over")
            await reader
            token, channel, socket, reader = following
        if self.args.events:
            await self.until(self.args.events)
            await socket.close(1000, "done")
        await reader
        head = again = None
        if not self.args.events:
            head, _ = await asyncio.to_thread(api, token, "HEAD", f"/{channel['id']}")
            again = await handshake(channel["connectUri"])
        print(json.dumps({"peer": "python", **self.seen, "head": head, "again": again}))


async def handshake(uri):
    """The status of a further handshake."""
    try:
        async with connect(uri, ssl=TLS, proxy=None):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


async def main():
    args = arguments()
    await asyncio.wait_for(Client(args).run(), args.limit)


asyncio.run(main())
