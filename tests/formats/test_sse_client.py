"""Servers of events that mean harm, or are just broken: FAULTS rows 22 to 25."""

import contextlib
import gzip
import resource
import shutil
import socket
import ssl
import subprocess
import threading
import time

import pytest

from headcount.formats import sse_client
from helpers.programs import BARE, BIN, run
from helpers.sse_server import Answer, serving

END = Answer(status=204)


@contextlib.contextmanager
def raw_server(behave, context=None):
    """A server that gives each connection to `behave`; yields its port and how many came."""
    listener = socket.create_server(("127.0.0.1", 0))
    came = []

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            came.append(connection)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    def serve(connection):
        with contextlib.suppress(OSError):
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            connection.recv(65536)
            behave(connection, len(came))
            connection.close()

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1], came
    listener.close()


GONE = b"HTTP/1.1 204 No Content\r\n\r\n"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def once(behave):
    """Does so for the first connection; tells those after it to go."""

    def answer(connection, number):
        if number == 1:
            behave(connection)
        else:
            connection.sendall(GONE)

    return answer


def flood(piece, pieces, end=b""):
    def behave(connection):
        connection.sendall(HEAD + b"\r\nid: 1\ndata: first\n\n")
        for _ in range(pieces):
            connection.sendall(piece)
        connection.sendall(end)

    return once(behave)


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "piece, pieces, end, status",
    [
        (b"x" * 65536, 6000, b"", 65),  # a line that never ends
        (b"data: " + b"x" * 65530 + b"\n", 6000, b"\n\ndata: last\n\n", 65),  # an event of 400 MB
        (b": nothing\n", 100_000, b"\ndata: last\n\n", 0),
        (b"\n\n\n\n", 100_000, b"data: last\n\n", 0),
        (b"id: 1\n" * 1000, 100, b"\n\ndata: last\n\n", 0),
    ],
    ids=["line", "event", "comments", "blanks", "ids"],
)
def test_what_never_ends_takes_no_memory_and_the_stream_goes_on(piece, pieces, end, status):
    with raw_server(flood(piece, pieces, end)) as (port, _):
        options = ["--quiet", "--max-event", "1MB", f"http://127.0.0.1:{port}/"]
        process = subprocess.Popen(
            [BIN / "read-sse", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=BARE,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (150 << 20, -1)),
        )
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == status, stderr
    assert b'"first"' in stdout and (not end or b'"last"' in stdout)
    assert (b"event too large" in stderr) == (status == 65)


def test_ten_thousand_headers_are_no_answer():
    def behave(connection, _):
        connection.sendall(HEAD + b"".join(b"X-%d: y\r\n" % i for i in range(100_000)) + b"\r\n")

    with raw_server(behave) as (port, came):
        done = run("read-sse", "--give-up", "0.3", f"http://127.0.0.1:{port}/", check=75)
    assert b"Traceback" not in done.stderr and done.stdout == b""
    assert len(came) < 10  # once for each wait: it does not ask without a pause


def test_a_bomb_is_not_unpacked():
    bomb = gzip.compress(b"data: " + b"\0" * (300 << 20) + b"\n\n", 9)
    with serving(Answer(bomb, headers={"Content-Encoding": "gzip"})) as (url, requests):
        done = run("read-sse", url, check=1)
    assert b"compressed" in done.stderr and len(requests) == 1
    assert requests[0][1]["Accept-Encoding"] == "identity"


def test_an_event_that_drips_is_given_up_and_asked_for_again():
    def drip(connection):
        connection.sendall(HEAD + b"\r\nid: 7\ndata: a\n\n")
        for byte in b"data: never to end":
            time.sleep(0.1)
            connection.sendall(bytes([byte]))

    with raw_server(once(drip)) as (port, came):
        done = run("read-sse", "--silence", "0.5", f"http://127.0.0.1:{port}/", check=0)
    assert done.stdout == b'{"id":"7","event":"message","data":"a"}\n'
    assert b"has not ended for 0.5 s" in done.stderr and len(came) == 2


def test_comments_keep_a_quiet_stream_alive():
    def comment(connection):
        connection.sendall(HEAD + b"\r\n")
        for _ in range(12):
            time.sleep(0.1)
            connection.sendall(b":\n")
        connection.sendall(b"data: a\n\n")

    with raw_server(once(comment)) as (port, came):
        done = run("read-sse", "--silence", "0.5", f"http://127.0.0.1:{port}/", check=0)
    assert b'"a"' in done.stdout and b"has not ended" not in done.stderr and len(came) == 2


@pytest.mark.parametrize(
    "value, least, most",
    [
        ("0", 0, 0),
        ("7", 7, 7),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 10**9, 10**12),
        ("soon", None, None),
        ("-5", None, None),
        ("", None, None),
        ("1e9", None, None),
        ("٣", None, None),
        ("9" * 400, 10**8, 10**9),
    ],
)
def test_retry_after_in_seconds_as_a_date_or_nonsense(value, least, most):
    seconds = sse_client._retry_after(value)
    assert seconds is None if least is None else least <= seconds <= most


def test_one_that_asks_to_wait_for_ever_is_given_up_at_once():
    with serving(Answer(status=503, headers={"Retry-After": "99999999"})) as (url, _):
        began = time.monotonic()
        run("read-sse", url, check=75)
    assert time.monotonic() - began < 5


def test_a_reset_is_survived():
    def behave(connection, number):
        if number > 2:
            connection.sendall(GONE)
            return
        connection.sendall(HEAD + b"\r\nid: %d\ndata: a\n\n" % number)
        time.sleep(0.2)
        linger = b"\1\0\0\0\0\0\0\0"  # a close that is a reset
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    with raw_server(behave) as (port, _):
        done = run("read-sse", f"http://127.0.0.1:{port}/", check=0)
    assert done.stdout.count(b'"a"') == 2


# ---- TLS


CA = """
[ca]
default_ca = ours
[ours]
database = index
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:{}
basicConstraints = CA:true
"""


def certificate(folder, name, year):
    """A self-signed certificate for a name, good for the thirty years from that one on."""

    def openssl(*words):
        made = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr

    if not shutil.which("openssl"):
        pytest.skip("no openssl")
    (folder / "config").write_text(CA.format(name))
    (folder / "index").write_text("")
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "csr",
            "-subj", f"/CN={name}")  # fmt: skip
    openssl("ca", "-batch", "-selfsign", "-notext", "-config", "config", "-keyfile", "key",
            "-in", "csr", "-out", "crt", "-startdate", f"{year}0101000000Z",
            "-enddate", f"{year + 30}0101000000Z")  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")
    return context, folder / "crt"


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "name, year, trusted, fine",
    [
        ("localhost", 2020, True, True),
        ("localhost", 2020, False, False),
        ("elsewhere.example", 2020, True, False),
        ("localhost", 1980, True, False),
    ],
    ids=["sound", "self-signed", "another name", "expired"],
)
def test_a_certificate_that_is_wrong_is_refused(name, year, trusted, fine, tmp_path):
    context, path = certificate(tmp_path, name, year)
    heard = []

    def behave(connection, number):
        heard.append(number)
        connection.sendall(HEAD + b"\r\ndata: secret\n\n" if number == 1 else GONE)

    env = BARE | ({"SSL_CERT_FILE": str(path)} if trusted else {})
    with raw_server(behave, context) as (port, _):
        url = f"https://localhost:{port}/"
        done = run("read-sse", "--give-up", "0.5", url, env=env, check=0 if fine else 75)
    assert bool(heard) == fine == (b"secret" in done.stdout)
    assert fine or b"certificate" in done.stderr.lower()


def test_no_way_from_https_to_http(tmp_path):
    context, path = certificate(tmp_path, "localhost", 2020)
    with serving(Answer(b"data: plain\n\n"), END) as (plain, requests):
        plain = plain.replace("127.0.0.1", "localhost")

        def behave(connection, _):
            connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: %b\r\n\r\n" % plain.encode())

        with raw_server(behave, context) as (port, _):
            env = BARE | {"SSL_CERT_FILE": str(path)}
            options = ["--last-event-id", "secret", f"https://localhost:{port}/"]
            done = run("read-sse", *options, env=env, check=1)
    assert b"redirects" in done.stderr and requests == []
