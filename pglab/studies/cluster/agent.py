"""A worker on its own machine: dials in, has one process of its own train, and is heard of all the while."""

import contextlib
import json
import os
import pickle
import selectors
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from subprocess import Popen
from types import FrameType

from pglab.errors import InputError
from pglab.processes import SINGLE_THREAD, start
from pglab.studies.cluster.address import Address
from pglab.studies.cluster.announcement import Announcement
from pglab.studies.cluster.channel import PIECE, Channel, Kind
from pglab.studies.cluster.key import context, is_other_key
from pglab.studies.messages import Leave

BEAT = 5.0  # seconds between two signs of life
DIALLING = 30.0  # seconds in which an answer must come
MOST_BACKLOG = 1 << 28  # bytes that wait for the network before nothing more is taken from the process
STOPS = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)  # preemption, a time limit that nears, a person
ENDED, GONE = 0, 1  # exit statuses


def work(address: Address, key: Path, hired: bool = False) -> int:
    """Trains what a study gives out, until it ends or this process is told to go; returns the exit status.

    A connection that breaks is made anew: the study has given the shard to somebody else meanwhile.

    Args:
        key: the file that the study has made.
        hired: an engine of the study has started this.

    Raises:
        InputError: no study with this key listens there, or it refuses this worker.
    """
    try:
        tls = context(key, ssl.PROTOCOL_TLS_CLIENT)
    except OSError as error:
        raise InputError(f"{key} is no key of a study ({error.strerror or error})") from error
    with _stops() as stopped:
        channel = _dialled(address, tls, key)
        while True:
            with _Session(channel, hired, stopped) as session:
                status = session.serve()
            if status is not None:
                return status
            print(f"The connection to {address} broke; dialling in again.", file=sys.stderr, flush=True)
            try:
                channel = _dialled(address, tls, key)
            except InputError as error:
                print(f"The study is over: {error}", file=sys.stderr, flush=True)
                return GONE


@contextlib.contextmanager
def _stops() -> Iterator[socket.socket]:
    """Yields a socket that can be read once this process was told to go."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)

    def stop(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(OSError):
            theirs.send(b".")

    if threading.current_thread() is threading.main_thread():  # elsewhere no signal comes
        for number in STOPS:
            signal.signal(number, stop)
    try:
        yield ours
    finally:
        ours.close()
        theirs.close()


def _dialled(address: Address, tls: ssl.SSLContext, key: Path) -> Channel:
    try:
        plain = socket.create_connection((address.host, address.port), timeout=DIALLING)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a parent whose machine is gone says nothing
        for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                plain.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        shaken = tls.wrap_socket(plain)
    except ssl.SSLError as error:
        raise InputError(_other_key(address, key) if is_other_key(error) else f"{address} is no study") from error
    except OSError as error:
        raise InputError(f"no study listens at {address} ({error.strerror or error})") from error
    channel = Channel(shaken)
    channel.shake()
    return channel


def _other_key(address: Address, key: Path) -> str:
    return f"the study at {address} has another key than {key}; it makes a new one for each command"


class _Session:
    """One connection, and the process that trains."""

    def __init__(self, channel: Channel, hired: bool, stopped: socket.socket) -> None:
        self._channel, self._hired, self._stopped = channel, hired, stopped
        self._child: _Child | None = None
        self._leaving, self._beaten = False, time.monotonic()

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *_: object) -> None:
        if self._child:
            self._child.end()
        self._channel.close()

    def serve(self) -> int | None:
        """Returns the exit status, or None where the connection broke.

        Raises:
            InputError: the study refuses this worker.
        """
        while not self._channel.closed:
            ready = self._ready()
            if self._stopped in ready:
                self._stopped.recv(PIECE)
                if self._leaving or self._child is None:
                    return ENDED
                self._leave()
            if self._channel in ready:
                for kind, content in self._heard():
                    if kind is Kind.STOP:
                        return ENDED
                    self._take(kind, content)
            if self._child:
                self._forward(self._child, ready)
            if self._leaving and self._child is None and not self._channel.backlog:
                return ENDED
            if time.monotonic() - self._beaten >= BEAT:
                self._channel.send(Kind.BEAT)
                self._beaten = time.monotonic()
            self._channel.flush()
        return None

    def _ready(self) -> set[object]:
        """Whatever has something for us, or takes something from us, within the next beat."""
        with selectors.DefaultSelector() as selector:
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._channel.backlog else 0)
            selector.register(self._channel, wanted)
            selector.register(self._stopped, selectors.EVENT_READ)
            if self._child and self._channel.backlog < MOST_BACKLOG:
                selector.register(self._child.connection, selectors.EVENT_READ)
                selector.register(self._child.output, selectors.EVENT_READ)
            return {key.fileobj for key, _ in selector.select(BEAT)}

    def _heard(self) -> list[tuple[Kind, bytes]]:
        try:
            return list(self._channel.received())
        except ssl.SSLError as error:  # with TLS 1.3 our key is looked at after the handshake has ended here
            raise InputError("the study has another key; it makes a new one for each command") from error

    def _take(self, kind: Kind, content: bytes) -> None:
        if kind is Kind.QUESTION:
            self._channel.send(Kind.ANNOUNCEMENT, Announcement.of_here(json.loads(content), self._hired).written())
            self._channel.known = True  # it has shown the key, and nobody else asks
        elif kind is Kind.REFUSED:
            raise InputError(f"the study refuses this worker: {content.decode()}")
        elif kind is Kind.TAKEN:
            self._child = _Child()
        elif kind is Kind.JOB and self._child:
            with contextlib.suppress(OSError):  # that it is gone shows when it is read
                self._child.connection.send_bytes(content)

    def _leave(self) -> None:
        """Has the process store a checkpoint and end."""
        self._leaving = True
        self._channel.send(Kind.LEAVING)
        assert self._child is not None
        with contextlib.suppress(OSError):
            self._child.connection.send_bytes(pickle.dumps(Leave()))

    def _forward(self, child: "_Child", ready: set[object]) -> None:
        """Passes on what the process reports and prints; a new one comes in the place of one that died."""
        if child.output in ready and (printed := child.printed()):
            self._channel.send(Kind.OUTPUT, printed)
        if child.connection not in ready:
            return
        try:
            while child.connection.poll():
                self._channel.send(Kind.EVENT, child.connection.recv_bytes())
        except (EOFError, OSError):  # also in the middle of a message
            if printed := child.printed():
                self._channel.send(Kind.OUTPUT, printed)
            child.end()
            self._child = None
            if not self._leaving:
                self._channel.send(Kind.DIED)
                self._child = _Child()


class _Child:
    """The process that trains; the same as one of a study on a single machine."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        try:
            self._process: Popen
            self.connection: Connection
            self._process, self.connection = start(
                "pglab.studies.worker", SINGLE_THREAD, stdout=writing, stderr=writing
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        self.output = reading

    def printed(self) -> bytes:
        """Whatever it has printed since the last time; also in our own output."""
        pieces = []
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.output, PIECE):
                pieces.append(piece)
        text = b"".join(pieces)
        sys.stderr.write(text.decode(errors="replace"))
        sys.stderr.flush()
        return text

    def end(self) -> None:
        """Ends it at once."""
        self._process.kill()
        self._process.wait()
        self.connection.close()
        os.close(self.output)
