"""A stand-in for the model hub: the few endpoints that a download uses, on this machine."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(ThreadingHTTPServer):
    """Serves `files` as repository `repository`; `delay` seconds per 64 KiB."""

    daemon_threads = True

    def __init__(self, repository: str, files: dict[str, bytes], delay: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository = repository
        self.files = files
        self.delay = delay
        self.requests: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        hub = self.server
        path = self.path.partition("?")[0]
        hub.requests.append(f"{self.command} {self.path}")
        if path.startswith(f"/api/models/{hub.repository}/tree/"):
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": _etag(data)}
                for name, data in hub.files.items()
            ]
            self._json(entries)
        elif path in (
            f"/api/models/{hub.repository}",
            f"/api/models/{hub.repository}/revision/main",
        ):
            files = [{"rfilename": name, "size": len(data)} for name, data in hub.files.items()]
            self._json({"id": hub.repository, "sha": COMMIT, "siblings": files})
        elif path.startswith(f"/{hub.repository}/resolve/") and Path(path).name in hub.files:
            self._file(hub.files[Path(path).name], body)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _json(self, value: object) -> None:
        data = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _file(self, data: bytes, body: bool) -> None:
        start = 0
        if wanted := self.headers.get("Range"):
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{_etag(data)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body:
            for at in range(start, len(data), 65536):
                self.wfile.write(data[at : at + 65536])
                time.sleep(self.server.delay)


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
