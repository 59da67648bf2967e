"""Receives the traces of a local stack, and appends the body of each export to a file.

    infra/local/python infra/local/collector.py PORT FILE

The bodies are protobuf; the texts in them are readable as they are. The security tests search them.
"""

import http.server
import sys
from pathlib import Path


def serve(port, file):
    """Serves until the process is ended."""

    class Collector(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):  # noqa: N802 - the name is given
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with file.open("ab") as opened:
                opened.write(body + b"\n")
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            """Logs nothing: each invocation of a function is a request."""

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Collector).serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
