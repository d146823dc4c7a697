"""A service of a few lines for the supervisor's tests: `tiny_service.py NAME PORT JOURNAL [fault]`.

It answers `/readyz`, dies with code 7 on `/die`, and writes its start and end into the journal. Faults:
`dies` ends at once, `never` never becomes ready, `deaf` ignores SIGTERM.
"""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

NAME, PORT, JOURNAL = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
FAULT = sys.argv[4] if len(sys.argv) > 4 else ""


def note(what: str) -> None:
    with JOURNAL.open("a") as journal:
        journal.write(f"{NAME} {what}\n")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/die":
            sys.stderr.write(json.dumps({"event": "disk_full", "level": "error", "folder": "/data"}) + "\n")
            sys.stderr.flush()
            os._exit(7)
        answer = {"ready": FAULT != "never", "checks": {"index": "building 40 %" if FAULT == "never" else "ok"}}
        body = json.dumps(answer).encode()
        self.send_response(503 if FAULT == "never" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        sys.stderr.write(f"{self.path}\n")


def stop(*_: object) -> None:
    note("ended")
    raise SystemExit(0)


if FAULT == "dies":
    sys.stderr.write("cannot read the corpus\n")
    sys.exit(3)
signal.signal(signal.SIGTERM, signal.SIG_IGN if FAULT == "deaf" else stop)
server = HTTPServer(("127.0.0.1", PORT), Handler)
note("started")
server.serve_forever()
