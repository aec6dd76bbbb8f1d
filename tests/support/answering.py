"""A server on loopback that answers every request as a test says, over TLS with a CA of its own if asked."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], object]


def plain(status: int, body: bytes = b"") -> Answer:
    """An answer with a status and a body."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        if to.command != "HEAD":
            to.wfile.write(body)

    return answer


@contextlib.contextmanager
def answering(answer: Answer, certificate: tuple[Path, Path] | None = None) -> Iterator[tuple[str, Sequence[str]]]:
    """The URL of a server, and the methods that it was asked with."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        given = b""

        def do_GET(self) -> None:
            asked.append(self.command)
            self.given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with contextlib.suppress(OSError):  # the other side may go away
                answer(self)

        def log_message(self, *_: Any) -> None:
            return

    for method in ("HEAD", "PUT", "POST", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.do_GET)

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: Any) -> None:
            return

    with Server(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def own_certificate(directory: Path) -> tuple[Path, Path]:
    """The file of a certificate for 127.0.0.1 and that of its key; `ca.pem` beside them is the CA that signed it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def make(name: str, *extensions: x509.ExtensionType) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = keys.setdefault(name, ec.generate_private_key(ec.SECP256R1()))
        builder = x509.CertificateBuilder(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a company's own CA")]),
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
            key.public_key(),
            x509.random_serial_number(),
            now - dt.timedelta(days=1),
            now + dt.timedelta(days=1),
        )
        signer = keys["a company's own CA"]
        for extension in extensions:
            builder = builder.add_extension(extension, True)
        # RFC 5280 wants these two, and Python 3.13 trusts no chain without them.
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
        return builder.sign(signer, hashes.SHA256()), key

    now = dt.datetime.now(dt.UTC)
    keys: dict[str, ec.EllipticCurvePrivateKey] = {}
    signs = x509.KeyUsage(False, False, False, False, False, True, True, False, False)  # certificates and CRLs
    authority, _ = make("a company's own CA", x509.BasicConstraints(ca=True, path_length=None), signs)
    made, key = make("server", x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]))
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (directory / "ca.pem").write_bytes(authority.public_bytes(pem))
    (directory / "server.pem").write_bytes(made.public_bytes(pem))
    (directory / "key.pem").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return directory / "server.pem", directory / "key.pem"
