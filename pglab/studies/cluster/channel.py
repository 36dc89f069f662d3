"""Messages over an encrypted connection that nobody has to wait for."""

import ssl
import struct
from collections.abc import Iterator
from enum import Enum

HEADER = struct.Struct("!cQ")  # the kind of a message, and its length
PIECE = 1 << 18  # bytes that are read or written at once
UNKNOWN_MOST = 1 << 16  # bytes of a message before both sides know each other
MOST = 1 << 36  # of any


class Kind(Enum):
    """Of a message: `QUESTION` and `ANNOUNCEMENT` are JSON, `EVENT` and `JOB` pickles, the others text or nothing.

    Pickles are read from nobody who has not shown the key and announced itself.
    """

    QUESTION = b"q"  # parent: what is trained, so that the worker can tell what would compute it
    ANNOUNCEMENT = b"a"  # worker: who it is
    REFUSED = b"r"  # parent: why it is not taken
    TAKEN = b"t"  # parent: it is
    JOB = b"j"  # parent: a shard to train
    STOP = b"s"  # parent: the end
    EVENT = b"e"  # worker: what its process reports
    DIED = b"d"  # worker: its process ended without a word; another one is there
    LEAVING = b"l"  # worker: it was told to go
    OUTPUT = b"o"  # worker: what its process has printed
    BEAT = b"b"  # worker: it is there


class Channel:
    """One end of a connection; nothing here waits."""

    def __init__(self, socket: ssl.SSLSocket) -> None:
        socket.setblocking(False)
        self.socket = socket
        self.closed = False
        self.known = False  # the other side has said who it is
        self.shaken = False
        self._in, self._out = bytearray(), bytearray()

    def fileno(self) -> int:
        return self.socket.fileno()

    @property
    def backlog(self) -> int:
        """Bytes that are still to be written."""
        return len(self._out)

    def send(self, kind: Kind, content: bytes = b"") -> None:
        """Writes a message as far as that goes at once; `flush` writes the rest."""
        self._out += HEADER.pack(kind.value, len(content))
        self._out += content
        self.flush()

    def flush(self) -> None:
        """Writes what is left, as far as that goes."""
        while self._out and not self.closed and self.shaken:
            try:
                written = self.socket.send(memoryview(self._out)[:PIECE].tobytes())
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                return
            except OSError:
                self.closed = True
                return
            del self._out[:written]

    def shake(self) -> bool:
        """Goes on with the handshake; returns true once it is over.

        Raises:
            OSError: it failed; ssl.SSLError, which is one: the other side has no or another key.
        """
        if not self.shaken:
            try:
                self.socket.do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return False
            self.shaken = True
            self.flush()
        return True

    def received(self) -> Iterator[tuple[Kind, bytes]]:
        """Yields the messages that have come; sets `closed` where no more will.

        Raises:
            ssl.SSLError: the other side has refused our key.
        """
        while not self.closed:
            try:
                piece = self.socket.recv(PIECE)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                break
            except ssl.SSLError as error:
                self.closed = True
                if not self.known:
                    raise
                del error
                break
            except OSError:
                piece = b""
            self.closed = not piece
            self._in += piece
            yield from self._messages()

    def _messages(self) -> Iterator[tuple[Kind, bytes]]:
        while len(self._in) >= HEADER.size:
            letter, length = HEADER.unpack_from(self._in)
            if length > (MOST if self.known else UNKNOWN_MOST):
                self.closed = True
                return
            end = HEADER.size + length
            if len(self._in) < end:
                return
            content = bytes(memoryview(self._in)[HEADER.size : end])
            del self._in[:end]
            yield Kind(letter), content

    def close(self) -> None:
        self.closed = True
        self.socket.close()
