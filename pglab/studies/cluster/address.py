"""Where a study listens, as people write it."""

import contextlib
import socket
from dataclasses import dataclass
from typing import Self

from pglab.errors import InputError

ELSEWHERE = "203.0.113.1"  # of nobody (RFC 5737): only the way to it is asked for, and nothing is sent


@dataclass(frozen=True)
class Address:
    """A host and a port; port 0 is any that is free."""

    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> Self:
        """`HOST`, `HOST:PORT` or `[IPv6]:PORT`.

        Raises:
            InputError: it is none of these.
        """
        host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        if not colon or (":" in host and not host.startswith("[")):
            host, port = text, "0"
        if not host.strip("[]") or not port.isdecimal() or int(port) > 65535:
            raise InputError(f"{text} is no address; write HOST or HOST:PORT, such as node1:7000")
        return cls(host.strip("[]"), int(port))

    @classmethod
    def of_here(cls) -> Self:
        """The address of this machine in the network that its default way leads to."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.connect((ELSEWHERE, 9))
            return cls(way.getsockname()[0], 0)
        return cls(socket.gethostname(), 0)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def listen(self) -> tuple[socket.socket, Self]:
        """Listens; returns the socket, and the address with its port.

        On an address that is none of this machine's, as that of a gateway, it listens on all of its own.

        Raises:
            InputError: that cannot be.
        """
        try:
            (family, _, _, _, found), *_ = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise InputError(f"cluster.address={self.host}: {error.strerror or error}") from error
        try:
            listener = socket.create_server(found[:2], family=family, backlog=512)
        except OSError as first:
            try:
                listener = socket.create_server(("", self.port), backlog=512)
            except OSError:
                raise InputError(f"cannot listen at {self} ({first.strerror or first})") from first
        listener.setblocking(False)
        return listener, type(self)(self.host, listener.getsockname()[1])
