# SPDX-License-Identifier: Apache-2.0 OR MIT
"""A certificate authority by ACME (RFC 8555) for tests: TLS-ALPN-01 (RFC 8737) alone, one order at a time.

    authority.py FOLDER PORT

FOLDER has authority.pem and authority.key, which sign, and server.pem and server.key, by which it is reached. Names are looked for
at 127.0.0.1:PORT. Prints where its directory is, then a line for each thing that happens.
"""

import base64
import hashlib
import http.server
import json
import ssl
import subprocess
import sys
from pathlib import Path

folder, port = Path(sys.argv[1]), sys.argv[2]
own = ""
account, order, token = {}, {}, "a-token-of-this-authority"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def thumbprint(jwk):
    kept = {name: jwk[name] for name in sorted(jwk) if name in ("crv", "e", "kty", "n", "x", "y")}
    return b64(hashlib.sha256(json.dumps(kept, separators=(",", ":")).encode()).digest())


def is_theirs(name):
    """Whether the server for this name shows the certificate that only the account's holder can make."""
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-alpn", "acme-tls/1"],
        input=b"",
        capture_output=True,
        check=False,
    ).stdout
    text = subprocess.run(
        ["openssl", "x509", "-noout", "-text"], input=shown, capture_output=True, check=False
    ).stdout.decode()
    digest = hashlib.sha256(f"{token}.{thumbprint(account['jwk'])}".encode()).digest()
    # openssl does not know the extension, and prints its octets.
    parsed = subprocess.run(
        ["openssl", "x509", "-outform", "DER"], input=shown, capture_output=True, check=False
    ).stdout
    return digest in parsed and f"DNS:{name}" in text and b"\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x1f" in parsed


def sign(request):
    (folder / "asked.der").write_bytes(request)
    subprocess.run(
        [
            *("openssl", "x509", "-req", "-inform", "DER", "-in", folder / "asked.der", "-days", "30"),
            *("-CA", folder / "authority.pem", "-CAkey", folder / "authority.key", "-CAcreateserial"),
            *("-copy_extensions", "copy", "-out", folder / "issued.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return (folder / "issued.pem").read_bytes() + (folder / "authority.pem").read_bytes()


class Authority(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", headers=(), kind="application/json"):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in [("Replay-Nonce", "once"), ("Content-Type", kind), *headers]:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self):
        self.answer(200)

    def do_GET(self):
        names = {"newNonce": "nonce", "newAccount": "account", "newOrder": "order"}
        self.answer(200, {name: f"{own}/{path}" for name, path in names.items()})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        head, payload = json.loads(unb64(asked["protected"])), unb64(asked["payload"])
        payload = json.loads(payload) if payload else {}
        assert head["url"] == own + self.path, head
        path = self.path.strip("/")
        if path == "account":
            account["jwk"] = head["jwk"]
            print("account", payload.get("contact"), flush=True)
            self.answer(201, {"status": "valid"}, [("Location", f"{own}/account/1")])
        elif path == "order":
            name = payload["identifiers"][0]["value"]
            order.clear()
            order.update(status="pending", name=name)
            print("order", name, flush=True)
            self.shown(201)
        elif path == "authz":
            challenge = {"type": "tls-alpn-01", "url": f"{own}/challenge", "token": token}
            status = "pending" if order["status"] == "pending" else "valid"
            identifier = {"type": "dns", "value": order["name"]}
            self.answer(200, {"status": status, "identifier": identifier, "challenges": [challenge]})
        elif path == "challenge":
            good = is_theirs(order["name"])
            print("challenge", good, flush=True)
            order["status"] = "ready" if good else "invalid"
            self.answer(200, {"type": "tls-alpn-01", "url": f"{own}/challenge", "token": token, "status": "valid"})
        elif path == "finalize":
            order["certificate"] = sign(unb64(payload["csr"]))
            order["status"] = "valid"
            print("issued", order["name"], flush=True)
            self.shown(200)
        elif path == "order/1":
            self.shown(200)
        elif path == "certificate":
            self.answer(200, order["certificate"], kind="application/pem-certificate-chain")
        else:
            self.answer(404, {"type": "urn:ietf:params:acme:error:malformed"})

    def shown(self, status):
        shown = {
            "status": order["status"],
            "identifiers": [{"type": "dns", "value": order["name"]}],
            "authorizations": [f"{own}/authz"],
            "finalize": f"{own}/finalize",
        }
        if order["status"] == "valid":
            shown["certificate"] = f"{own}/certificate"
        self.answer(status, shown, [("Location", f"{own}/order/1")])


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Authority)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder / "server.pem", folder / "server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
own = f"https://localhost:{server.server_port}"
print(f"{own}/directory", flush=True)
server.serve_forever()
