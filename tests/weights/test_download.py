"""Downloads end with the right file or a message, whatever the server does; loopback only."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import astuple, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from scratchnst.errors import UserError
from scratchnst.weights import download
from scratchnst.weights.download import CHUNK, ROUNDS, VGG19, RemoteFile, cache_directory, cached, fetch

CONTENT = np.random.default_rng(3).bytes(10 * CHUNK + 123)
OTHER = CONTENT[::-1]
HALF = 5 * CHUNK
NAME = "weights.h5"
TIMEOUTS = (10.0, 10.0)
IMPATIENT = (10.0, 0.3)  # for servers that stall; the others may be slow on a busy machine


class Server(ThreadingHTTPServer):
    """Gives one answer after the other, then repeats the last, and records what was requested and sent."""

    daemon_threads = False  # so that closing joins them all

    def __init__(self, *answers):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.ranges = []
        self.sent = 0
        self.closing = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/{NAME}"

    def next_answer(self):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def handle_error(self, *_):
        """Print nothing: clients that disconnect are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    """Answers as its server says."""

    server: Server

    def do_GET(self):
        self.server.ranges.append(self.headers.get("Range"))
        self.server.next_answer()(self)

    def log_message(self, *_):
        pass

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, data):
        for start in range(0, len(data), CHUNK):
            self.wfile.write(data[start : start + CHUNK])
            self.server.sent += len(data[start : start + CHUNK])

    def wanted(self):
        """Where the range asked for begins."""
        return int(re.fullmatch(r"bytes=(\d+)-|", self.headers.get("Range", "")).group(1) or 0)


def serving(content=CONTENT, until=None, then=lambda handler: None, declare=True):
    """An answer with ranges: `content` up to byte `until`, after which `then` happens."""

    def answer(handler):
        start = handler.wanted()
        headers = {"Content_Length": len(content) - start} if declare else {}
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.head(206 if start else 200, **headers)
        handler.body(content[start:until])
        then(handler)

    return answer


def without_ranges(handler):
    handler.head(200, Content_Length=len(CONTENT))
    handler.body(CONTENT)


def stalling(handler):
    handler.server.closing.wait(20)


def silent(handler):
    """Not even a status line before the connection is closed."""


def web_page(handler):
    page = b"<html>Please log in to the hotel's network</html>"
    handler.head(200, Content_Type="text/html; charset=utf-8", Content_Length=len(page))
    handler.body(page)


def nameless_page(handler):
    handler.head(200)
    handler.body(b"<html>neither type nor length</html>")


def status(code):
    def answer(handler):
        handler.head(code, Content_Length=0)

    return answer


def redirect(location):
    def answer(handler):
        handler.head(302, Location=location, Content_Length=0)

    return answer


def wrong_range(handler):
    handler.head(206, Content_Range=f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}", Content_Length=len(CONTENT))
    handler.body(CONTENT)


def shifted_range(handler):
    start = handler.wanted()
    handler.head(206, Content_Range=f"bytes {start - 1}-{len(CONTENT) - 2}/*", Content_Length=len(CONTENT) - start)
    handler.body(CONTENT[start - 1 : -1])


def endless(handler):
    handler.head(200)
    for _ in range(10_000):
        handler.body(CONTENT)


fine = serving()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def serve():
    """Start a server with the given answers; all are closed in the end."""
    running = []

    def start(*answers):
        server = Server(*answers)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


def remote(*servers):
    """The right file's description, with these servers or addresses as its mirrors."""
    mirrors = tuple(server if isinstance(server, str) else server.url for server in servers)
    return RemoteFile(NAME, mirrors, len(CONTENT), hashlib.md5(CONTENT).hexdigest())


def get(directory, *servers, timeouts=TIMEOUTS):
    return fetch(remote(*servers), directory, timeouts=timeouts)


def timeouts_for(behaviour):
    return IMPATIENT if behaviour is stalling else TIMEOUTS


def assert_only_the_right_file(directory):
    assert os.listdir(directory) == [NAME]
    assert (directory / NAME).read_bytes() == CONTENT


def assert_nothing_bad(directory, part=None):
    """No file under the final name; the part is there with this content, or is not there."""
    assert set(os.listdir(directory)) <= {f"{NAME}.part", f"{NAME}.lock"}
    assert (directory / f"{NAME}.part").exists() == (part is not None)
    if part is not None:
        assert (directory / f"{NAME}.part").read_bytes() == part


def failure(directory, *servers, timeouts=TIMEOUTS):
    """The message of a download that must fail, which names mirrors and remedies."""
    with pytest.raises(UserError) as caught:
        get(directory, *servers, timeouts=timeouts)
    message = str(caught.value)
    assert all(mirror in message for mirror in remote(*servers).mirrors)
    assert str(directory / NAME) in message
    assert "--network FILE" in message
    assert "\n" not in message
    return message


class TestSuccess:
    def test_downloads_once(self, tmp_path, serve):
        server = serve(fine)
        for _ in range(3):
            assert get(tmp_path / "new" / "cache", server) == tmp_path / "new" / "cache" / NAME
        assert server.ranges == [None]
        assert server.sent == len(CONTENT)
        assert_only_the_right_file(tmp_path / "new" / "cache")

    def test_length_not_declared(self, tmp_path, serve):
        get(tmp_path, serve(serving(declare=False)))
        assert_only_the_right_file(tmp_path)

    def test_follows_a_redirect_and_resumes_behind_it(self, tmp_path, serve):
        target = serve(serving(until=HALF), fine)
        get(tmp_path, serve(redirect(target.url)))
        assert_only_the_right_file(tmp_path)
        assert target.ranges == [None, f"bytes={HALF}-"]

    @pytest.mark.parametrize("there", [CONTENT[:-1], OTHER, b""], ids=["short", "damaged", "empty"])
    def test_replaces_a_wrong_file(self, tmp_path, serve, there):
        (tmp_path / NAME).write_bytes(there)
        get(tmp_path, serve(fine))
        assert_only_the_right_file(tmp_path)

    def test_a_wrong_file_does_not_survive_a_failure(self, tmp_path, serve):
        (tmp_path / NAME).write_bytes(OTHER)
        failure(tmp_path, serve(status(404)))
        assert_nothing_bad(tmp_path)

    @pytest.mark.parametrize("first", [silent, stalling, web_page, status(503), serving(OTHER), serving(until=HALF)])
    def test_a_mirror_has_a_second_chance(self, tmp_path, serve, first):
        get(tmp_path, serve(first, fine), serve(status(500)), timeouts=timeouts_for(first))
        assert_only_the_right_file(tmp_path)

    def test_bar_only_if_wanted_and_on_a_terminal(self, tmp_path, serve, monkeypatch, capsys):
        server = serve(fine)
        for directory, terminal, progress in (("a", True, True), ("b", True, False), ("c", False, True)):
            monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
            fetch(remote(server), tmp_path / directory, progress=progress, timeouts=TIMEOUTS)
            assert (NAME in capsys.readouterr().err) == (terminal and progress)


class TestResume:
    def test_asks_only_for_the_rest(self, tmp_path, serve):
        (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:HALF])
        server = serve(fine)
        get(tmp_path, server)
        assert server.ranges == [f"bytes={HALF}-"]
        assert server.sent == len(CONTENT) - HALF
        assert_only_the_right_file(tmp_path)

    def test_at_the_next_mirror(self, tmp_path, serve):
        broken, whole = serve(serving(until=HALF)), serve(fine)
        get(tmp_path, broken, whole)
        assert (broken.sent, whole.sent) == (HALF, len(CONTENT) - HALF)
        assert_only_the_right_file(tmp_path)

    def test_at_the_next_call(self, tmp_path, serve):
        assert "broke off" in failure(tmp_path, serve(serving(until=HALF), serving(until=HALF)))
        assert_nothing_bad(tmp_path, part=CONTENT[:HALF])
        server = serve(fine)
        get(tmp_path, server)
        assert server.sent == len(CONTENT) - HALF
        assert_only_the_right_file(tmp_path)

    def test_server_without_ranges_begins_anew(self, tmp_path, serve):
        (tmp_path / f"{NAME}.part").write_bytes(OTHER[:HALF])
        server = serve(without_ranges)
        get(tmp_path, server)
        assert server.sent == len(CONTENT)
        assert_only_the_right_file(tmp_path)

    def test_a_whole_part_is_not_downloaded_again(self, tmp_path, serve):
        (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
        server = serve(fine)
        get(tmp_path, server)
        assert server.ranges == []
        assert_only_the_right_file(tmp_path)

    @pytest.mark.parametrize("part", [OTHER[:HALF], OTHER, CONTENT + b"!"], ids=["begun", "whole", "too long"])
    def test_a_part_of_another_file_is_given_up(self, tmp_path, serve, part):
        (tmp_path / f"{NAME}.part").write_bytes(part)
        server = serve(fine)
        get(tmp_path, server)
        assert server.ranges[-1] is None
        assert_only_the_right_file(tmp_path)

    @pytest.mark.parametrize(
        "answer",
        [web_page, status(404), status(416), status(503), silent, stalling, wrong_range, shifted_range],
        ids=lambda f: f.__name__,
    )
    def test_a_useless_answer_costs_nothing_held(self, tmp_path, serve, answer):
        (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:HALF])
        failure(tmp_path, serve(answer), timeouts=timeouts_for(answer))
        assert_nothing_bad(tmp_path, part=CONTENT[:HALF])


class TestFailure:
    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (status(404), "404 Not Found"),
            (status(403), "403 Forbidden"),
            (status(500), "500 Internal Server Error"),
            (status(204), "204"),
            (wrong_range, "206"),
            (web_page, "web page"),
            (nameless_page, "sent only"),
            (serving(OTHER), "checksum"),
            (serving(CONTENT[:-5]), "offered"),
            (serving(CONTENT + b"!"), "offered"),
            (serving(CONTENT[:-5], declare=False), "sent only"),
            (serving(CONTENT + b"!", declare=False), "more than"),
            (silent, "broke off"),
            (stalling, "in time"),
            (redirect("/again"), "redirects"),
            (redirect("file:///etc/passwd"), "file:///etc/passwd"),
            (redirect("http://["), "Invalid"),
            (redirect("http://a..b/"), "a..b"),
        ],
    )
    def test_leaves_nothing_and_says_why(self, tmp_path, serve, answer, words):
        server = serve(answer)
        assert words in failure(tmp_path, server, timeouts=timeouts_for(answer))
        assert_nothing_bad(tmp_path)
        get(tmp_path, server, serve(fine), timeouts=timeouts_for(answer))
        assert_only_the_right_file(tmp_path)

    @pytest.mark.parametrize(("then", "words"), [(stalling, "in time"), (lambda _: None, "broke off")])
    def test_stops_in_the_middle(self, tmp_path, serve, then, words):
        server = serve(serving(until=HALF, then=then))
        start = time.monotonic()
        assert words in failure(tmp_path, server, timeouts=timeouts_for(then))
        assert time.monotonic() - start < 10
        assert_nothing_bad(tmp_path, part=CONTENT[:HALF])
        assert server.sent == HALF

    def test_endless_body_is_left(self, tmp_path, serve):
        server = serve(endless)
        assert "more than" in failure(tmp_path, server)
        assert server.sent < 1000 * len(CONTENT)
        assert_nothing_bad(tmp_path)

    def test_connection_refused(self, tmp_path, serve):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # bound, but not listening
            address = f"http://127.0.0.1:{closed.getsockname()[1]}/{NAME}"
            assert "refused" in failure(tmp_path, address)
            assert_nothing_bad(tmp_path)
            get(tmp_path, address, serve(fine))
        assert_only_the_right_file(tmp_path)

    def test_unknown_host(self, tmp_path, monkeypatch):
        def fail(*_, **__):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        assert "not known" in failure(tmp_path, f"http://weights.invalid/{NAME}")
        assert_nothing_bad(tmp_path)

    @pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/a", "/etc/passwd"])
    def test_only_http(self, tmp_path, address):
        assert "adapters" in failure(tmp_path, address) or "scheme" in failure(tmp_path, address)
        assert_nothing_bad(tmp_path)

    def test_certificate_is_verified(self, tmp_path, serve):
        certificate = tmp_path / "certificate.pem"
        command = (
            "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
        )
        try:
            subprocess.run(
                [*command.split(), "-keyout", certificate, "-out", certificate], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("no openssl to make a certificate")
        server = serve(fine)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        assert "certificate" in failure(tmp_path / "cache", server.url.replace("http:", "https:"))
        assert server.ranges == []
        assert_nothing_bad(tmp_path / "cache")

    def test_tells_of_all_mirrors(self, tmp_path, serve):
        servers = [serve(status(404)), serve(web_page), serve(serving(OTHER))]
        message = failure(tmp_path, *servers)
        assert [word in message for word in ("404", "web page", "checksum")] == [True] * 3
        assert [len(server.ranges) for server in servers] == [ROUNDS] * 3

    @pytest.mark.parametrize("answer", [status(404), redirect("http://["), silent, stalling, serving(until=HALF)])
    def test_no_word_of_an_error_handled_meanwhile(self, tmp_path, serve, answer):
        try:
            raise OSError(errno.EPERM, "unrelated")
        except OSError:
            assert "unrelated" not in failure(tmp_path, serve(answer), timeouts=timeouts_for(answer))


class TestDisk:
    @pytest.mark.parametrize("function", ["fsync", "replace"])
    def test_failing(self, tmp_path, serve, monkeypatch, function):
        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        server = serve(fine)
        with monkeypatch.context() as broken:
            broken.setattr(os, function, fail)
            assert "No space left" in failure(tmp_path, server)
        assert_nothing_bad(tmp_path, part=CONTENT)
        assert server.ranges == [None]  # no other mirror would help
        get(tmp_path, server)
        assert_only_the_right_file(tmp_path)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
    def test_full(self, tmp_path, serve):
        (tmp_path / f"{NAME}.part").symlink_to("/dev/full")
        assert "No space left" in failure(tmp_path, serve(fine))
        assert not (tmp_path / NAME).exists()

    def test_directory_cannot_be_made(self, tmp_path, serve):
        (tmp_path / "file").touch()
        server = serve(fine)
        for directory in (tmp_path / "file", tmp_path / "file" / "cache"):
            assert download.CACHE_VARIABLE in failure(directory, server)
        assert server.ranges == []

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permission bits do not bind this user")
    def test_directory_takes_no_file(self, tmp_path, serve):
        tmp_path.chmod(0o500)
        try:
            assert "Permission denied" in failure(tmp_path, serve(fine))
        finally:
            tmp_path.chmod(0o700)

    @pytest.mark.parametrize("name", [NAME, f"{NAME}.part", f"{NAME}.lock"])
    def test_a_directory_in_the_way(self, tmp_path, serve, name):
        (tmp_path / name).mkdir()
        failure(tmp_path, serve(fine))
        assert (tmp_path / name).is_dir()

    def test_a_right_file_needs_no_writing(self, tmp_path, serve, monkeypatch):
        def forbidden(*_, **__):
            raise AssertionError("written to")

        (tmp_path / NAME).write_bytes(CONTENT)
        monkeypatch.setattr(Path, "mkdir", forbidden)
        monkeypatch.setattr(download, "FileLock", forbidden)
        assert get(tmp_path, serve(status(404))) == tmp_path / NAME


def start_process(directory, server, seconds=10.0):
    """A process of its own that fetches into `directory`."""
    program = (
        "from pathlib import Path\nfrom scratchnst.weights.download import RemoteFile, fetch\n"
        f"print(fetch(RemoteFile(*{astuple(remote(server))!r}), Path({str(directory)!r}), timeouts=(5, {seconds})))"
    )
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class TestProcesses:
    def test_many_at_once_download_once(self, tmp_path, serve):
        server = serve(serving(until=HALF, then=lambda handler: (time.sleep(0.5), handler.body(CONTENT[HALF:]))))
        processes = [start_process(tmp_path, server) for _ in range(4)]
        outputs = [process.communicate(timeout=60) for process in processes]
        assert outputs == [(f"{tmp_path / NAME}\n", "")] * 4
        assert server.ranges == [None]
        assert_only_the_right_file(tmp_path)

    def test_threads_at_once_download_once(self, tmp_path, serve):
        server = serve(fine)
        threads = [threading.Thread(target=get, args=(tmp_path, server)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert server.ranges == [None]
        assert_only_the_right_file(tmp_path)

    @pytest.mark.skipif(os.name != "posix", reason="signals")
    @pytest.mark.parametrize("sent", ["SIGINT", "SIGKILL"])
    def test_interrupted_and_resumed(self, tmp_path, serve, sent):
        server = serve(serving(until=HALF, then=stalling), fine)
        process = start_process(tmp_path, server, seconds=60.0)
        part = tmp_path / f"{NAME}.part"
        deadline = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size == HALF):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(getattr(signal, sent))
        _, errors = process.communicate(timeout=30)
        assert process.returncode != 0
        assert ("KeyboardInterrupt" in errors) == (sent == "SIGINT")
        assert_nothing_bad(tmp_path, part=CONTENT[:HALF])
        get(tmp_path, server)
        assert server.ranges == [None, f"bytes={HALF}-"]
        assert_only_the_right_file(tmp_path)


class TestCache:
    def test_directory_of_the_environment(self, tmp_path, serve, monkeypatch):
        monkeypatch.setenv("SCRATCHNST_CACHE", str(tmp_path / "cache"))
        file = remote(serve(fine))
        assert cached(file) is None
        assert fetch(file, timeouts=TIMEOUTS) == cached(file) == tmp_path / "cache" / NAME

    @pytest.mark.parametrize("value", [None, ""])
    def test_directory_of_the_system(self, monkeypatch, value):
        if value is None:
            monkeypatch.delenv("SCRATCHNST_CACHE", raising=False)
        else:
            monkeypatch.setenv("SCRATCHNST_CACHE", value)
        assert cache_directory().is_absolute()
        assert "scratchnst" in cache_directory().parts

    def test_directory_in_the_home(self, monkeypatch):
        monkeypatch.setenv("SCRATCHNST_CACHE", os.path.join("~", "weights"))
        assert cache_directory() == Path.home() / "weights"

    def test_presence_and_size(self, tmp_path):
        file = remote("http://127.0.0.1/")
        assert cached(file, tmp_path / "missing") is None
        (tmp_path / NAME).write_bytes(CONTENT[:-1])
        assert cached(file, tmp_path) is None
        (tmp_path / NAME).write_bytes(CONTENT)
        assert cached(file, tmp_path) == tmp_path / NAME
        (tmp_path / "directory" / NAME).mkdir(parents=True)
        empty = replace(file, size=(tmp_path / "directory" / NAME).stat().st_size)
        assert cached(empty, tmp_path / "directory") is None

    def test_vgg19(self):
        assert len(VGG19.mirrors) == 2
        assert all(mirror.startswith("https://") and mirror.endswith(f"/{VGG19.name}") for mirror in VGG19.mirrors)
        assert re.fullmatch("[0-9a-f]{32}", VGG19.md5)
