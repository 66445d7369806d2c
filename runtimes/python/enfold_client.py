"""A client of the Lambda Runtime API on one keep-alive connection.

It writes HTTP by hand: http.client takes 663 microseconds for a round trip that takes 265 this way. The answer of one event
and the request for the next go out together, and _socket is used because importing socket takes 8 milliseconds.
"""

import os
import sys
import time
from os import getpid
from time import monotonic

try:
    import _socket as socket
except ImportError:  # an interpreter that hides it
    import socket

give_way = getattr(os, "sched_yield", lambda: None)  # not every system has it

PREFIX = b"/2018-06-01/runtime/"
RESTORE_NEXT = b"GET " + PREFIX + b"restore/next HTTP/1.1\r\nHost: %s\r\n\r\n"
NEXT = b"GET " + PREFIX + b"invocation/next HTTP/1.1\r\nHost: %s\r\n\r\n"
POST = b"POST " + PREFIX + b"%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n"
MAX_HEAD = 1 << 20
CHANNEL = 3
LOOKS = 2000  # a function may have stopped the clock, for a test of its own, wherever a module has it
TOO_LARGE = 413  # what the platform answers the caller itself


class Disconnected(Exception):
    pass


class Response:
    """A status, headers with lower-case names, and a body."""

    __slots__ = ("status", "headers", "body", "request_id")

    def __init__(self, status, headers):
        self.status = status
        self.headers = headers
        self.body = b""
        self.request_id = headers.get("lambda-runtime-aws-request-id")

    def header(self, name):
        return self.headers.get(name)


class Client:
    def __init__(self, endpoint):
        self.endpoint = endpoint
        host, _, port = endpoint.rpartition(":")
        self.address = (host.strip("[]"), int(port))
        self.host = endpoint.encode("ascii")
        self.sock = None
        self.buffer = bytearray()
        self.pid = getpid()
        self.may_poll = 0.0  # seconds in which the platform allows to look for the next event again and again
        self.polls = False  # an event would probably come in that time

    def next(self):
        """Wait for an event."""
        for attempt in (0, 1):
            try:
                self.send(NEXT % self.host)
                return self.event(self.receive())
            except (Disconnected, OSError):
                self.close()
                if attempt:
                    raise

    def answer_and_next(self, request_id, body, content_type, error_type):
        """Post the answer of one event and wait for the next. error_type is None if the function succeeded.

        An event is run once: RuntimeError ends a process whose answer the platform does not take, as one forked by the function."""
        path = b"invocation/%s/%s" % (request_id.encode("ascii"), b"response" if error_type is None else b"error")
        post = self.post(path, body, content_type, error_type)
        heard = False
        if getpid() != self.pid:  # forked by the function: not on its parent's connection
            self.pid = getpid()
            self.close()
        for attempt in (0, 1):
            try:
                self.send(post + NEXT % self.host)
                status = self.check(self.receive())
                heard = status // 100 == 2 or status == TOO_LARGE
                break
            except (Disconnected, OSError):
                # The function has ended the connection, or the platform has: it does on an answer that it refuses, such as one that
                # is too large. An answer that it has already is refused, and does no harm.
                self.close()
        if attempt == 0 and not heard:
            raise RuntimeError("Failed to post invocation response")
        del post  # it may be large, and the next event far
        if self.sock is None:
            event = self.next()
        else:
            try:
                event = self.event(self.receive())
            except (Disconnected, OSError):
                self.close()
                event = self.next()
        if not heard and event.request_id == request_id:
            raise RuntimeError("Failed to post invocation response")
        return event

    def post_init_error(self, body, error_type):
        self.send(self.post(b"init/error", body, "application/json", error_type))
        self.receive()

    def post_restore_error(self, body, error_type):
        self.send(self.post(b"restore/error", body, "application/json", error_type))
        self.receive()

    def restore_next(self, signal):
        """Wait to be restored, if this process is to be stored. Returns the name of the log stream, or None.

        The platform cuts the connection when it begins to store, because none survives that. signal is a path that exists as soon
        as this process is a restored one; it then asks once more."""
        while True:
            try:
                self.send(RESTORE_NEXT % self.host)
                response = self.receive()
                if response.status != 200:
                    raise RuntimeError("the Runtime API answered %d to restore/next" % response.status)
                return response.header("enfold-log-stream")
            except (Disconnected, OSError):
                self.close()
                if not signal:
                    raise
            for _ in range(5000):
                if os.path.exists(signal):
                    break
                time.sleep(0.001)

    def post(self, path, body, content_type, error_type):
        extra = b""
        if error_type is not None:
            name = error_type.encode("ascii", "backslashreplace").replace(b"\r", b"").replace(b"\n", b"")
            extra = b"Lambda-Runtime-Function-Error-Type: %s\r\n" % name
        return POST % (path, self.host, content_type.encode("ascii"), len(body), extra) + body

    def check(self, response):
        if response.status // 100 != 2:
            text = response.body.decode("utf-8", "replace")
            sys.stderr.write("LAMBDA_RUNTIME Failed to post handler success response. Http response code: %d. %s\n" % (response.status, text))
        return response.status

    def event(self, response):
        if response.status != 200 or not response.request_id:
            raise RuntimeError("the Runtime API answered %d" % response.status)
        self.may_poll = float(response.headers.get("enfold-poll-micros", "0")) / 1e6
        return response

    # ---- HTTP

    def send(self, data):
        if self.sock is None:
            self.connect()
        self.sock.sendall(data)

    def connect(self):
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_STREAM | getattr(socket, "SOCK_CLOEXEC", 0))
        self.sock.connect(self.address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def adopt(self):
        """Take the connection that was there when the process started. False if there is none: then it connects when it needs to."""
        if "_ENFOLD_CHANNEL" not in os.environ:
            return False
        try:
            self.sock = socket.socket(fileno=CHANNEL)
        except OSError:
            return False
        os.set_inheritable(CHANNEL, False)
        return True

    def close(self):
        if self.sock is not None:
            try:
                self.sock.close()
            except OSError:  # the function has closed it
                pass
        self.sock = None
        self.buffer = bytearray()

    def poll(self, deadline):
        """Look for what comes until a time. None if nothing does. A core that does not sleep answers sooner."""
        for _ in range(LOOKS):
            try:
                return self.sock.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                give_way()
            if monotonic() >= deadline:
                break

    def fill(self):
        data = None
        deadline = monotonic() + self.may_poll if self.may_poll else 0
        if deadline and self.polls:
            data = self.poll(deadline)
        if data is None:
            data = self.sock.recv(65536)
        if deadline:
            self.polls = monotonic() < deadline
        if not data:
            raise Disconnected()
        self.buffer += data

    def take(self, n):
        """The next n bytes."""
        missing = n - len(self.buffer)
        if missing > 65536:
            # A large event: receive in place instead of growing the buffer piece by piece.
            body = bytearray(n)
            at = len(self.buffer)
            body[:at] = self.buffer
            self.buffer = bytearray()
            view = memoryview(body)
            while at < n:
                got = self.sock.recv_into(view[at:])
                if not got:
                    raise Disconnected()
                at += got
            return bytes(body)
        while len(self.buffer) < n:
            self.fill()
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def take_line(self):
        while True:
            end = self.buffer.find(b"\r\n")
            if end >= 0:
                return self.take(end + 2)[:-2]
            if len(self.buffer) > MAX_HEAD:
                raise RuntimeError("the Runtime API sent a line without end")
            self.fill()

    def receive(self):
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end >= 0:
                break
            if len(self.buffer) > MAX_HEAD:
                raise RuntimeError("the Runtime API sent headers without end")
            self.fill()
        lines = self.take(end + 4)[:-4].decode("utf-8", "replace").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        response = Response(int(lines[0].split(" ", 2)[1]), headers)
        if headers.get("transfer-encoding", "").lower() == "chunked":
            response.body = self.chunks()
        else:
            response.body = self.take(int(headers.get("content-length", "0")))
        return response

    def chunks(self):
        parts = []
        while True:
            size = int(self.take_line().split(b";")[0], 16)
            if size == 0:
                while self.take_line():
                    pass
                return b"".join(parts)
            parts.append(self.take(size))
            self.take(2)
