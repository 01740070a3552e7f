"""A real HTTP server on a free port that keeps what it is sent, and answers what it is told to."""

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Received:
    """One request; `headers` by lower-case name."""

    path: str
    headers: dict
    body: bytes


class Receiver:
    """Answers each request with the next of `answers`, then with the last one for ever.

    An answer is a status, or a status, headers and a body.
    """

    def __init__(self, *answers):
        self.answers = list(answers) or [200]
        self.received = []
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {key.lower(): value for key, value in self.headers.items()}
                status, more, text = receiver._note(Received(self.path, headers, body))
                self.send_response(status)
                for key, value in more.items():
                    self.send_header(key, value)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self):
        host, port = self._server.server_address
        return f"http://{host}:{port}"

    def wait_for(self, holds, *, timeout=60):
        """Wait until something is true of what was received, and return that."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: holds(self.received), timeout), self.received
            return list(self.received)

    def _note(self, received):
        with self._arrived:
            self.received.append(received)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self._arrived.notify_all()
        return answer if isinstance(answer, tuple) else (answer, {}, b"")
