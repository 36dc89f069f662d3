"""The pool of a cluster: workers dial in from wherever they are, and the parent alone stores."""

import contextlib
import json
import pickle
import selectors
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pglab.errors import InputError
from pglab.studies.cluster.announcement import Announcement
from pglab.studies.cluster.channel import Channel, Kind
from pglab.studies.cluster.engines import Engine, Worker
from pglab.studies.cluster.key import context, is_other_key
from pglab.studies.cluster.roster import Roster
from pglab.studies.messages import Done, Event, Failed, Job, Lost, Updated
from pglab.studies.plan import Shard
from pglab.studies.provenance import provenance

SILENCE = 45.0  # seconds after which a worker that says nothing is gone
INTRODUCTION = 60.0  # seconds in which one that has dialled in must have announced itself
MOST_STRANGERS = 1024  # connections that have not
EVERY = 1.0  # seconds between two reports of a worker
PATIENCE = 15.0  # seconds without any worker before that is said; doubles
FAREWELL = 1.0  # seconds in which workers hang up
AGAIN = 5.0  # seconds between two attempts to have a lost worker replaced
LAST = (Done, Failed, Lost)  # of a shard


@dataclass(eq=False)
class _Peer:
    """A worker as the parent sees it, or a stranger that has dialled in.

    Attributes:
        where: the address that it dials from.
        who: it has announced itself and is taken.
        shard: that it trains.
        leaving: it was told to go.
    """

    channel: Channel
    where: str
    heard: float = field(default_factory=time.monotonic)
    came: float = field(default_factory=time.monotonic)
    who: Announcement | None = None
    shard: Shard | None = None
    leaving: bool = False

    @property
    def idle(self) -> bool:
        return self.who is not None and self.shard is None and not (self.leaving or self.channel.closed)


class ClusterPool:
    """Listens until it is stopped; the key and the address are in a folder of the study meanwhile.

    Args:
        engine: that starts workers, and others in the place of those that are lost.
        wanted: how many workers that is; further ones may dial in.
        trained: what is trained (see `together`), whose code must be the same everywhere.
        worker: to be started, with its address and key.
        say: tells a person something.
    """

    def __init__(
        self, engine: Engine, wanted: int, listener: socket.socket, worker: Worker, trained: Mapping[str, Any],
        roster: Roster, say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._engine, self._wanted, self._listener, self._worker = engine, wanted, listener, worker
        self._trained, self._roster, self._say = trained, roster, say
        self._made = provenance(trained)
        self._tls = context(worker.key, ssl.PROTOCOL_TLS_SERVER)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._peers: list[_Peer] = []
        self._expected = 0  # workers that were started and have not come yet
        self._said = set[str]()
        self._alone, self._patience = time.monotonic(), PATIENCE
        self._asked = 0.0
        self._stopped = False

    def open(self) -> None:
        """Has the workers started.

        Raises:
            InputError: the engine cannot.
        """
        try:
            if self._wanted:
                self._engine.start(self._worker, self._wanted)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"cluster: no workers could be started: {' '.join(str(error).split())}") from error
        self._expected = self._wanted
        self._roster.write(time.monotonic())

    @property
    def idle(self) -> int:
        return sum(peer.idle for peer in self._peers)

    def send(self, shard: Shard, job: Job) -> None:
        peer = next(peer for peer in self._peers if peer.idle)
        peer.shard = shard
        assert peer.who
        self._roster.begins(peer.who, shard, job)
        peer.channel.send(Kind.JOB, pickle.dumps(Job(job.slices, EVERY), pickle.HIGHEST_PROTOCOL))
        self._watch(peer)

    def events(self, patience: float) -> Iterator[tuple[Shard, Event]]:
        for key, _ in self._selector.select(patience):
            if key.fileobj is self._listener:
                self._accept()
            else:
                yield from self._serve(key.data)
        now = time.monotonic()
        for peer in [*self._peers]:
            if peer.who is None and now - peer.came > INTRODUCTION:
                self._forget(peer)
            elif peer.channel.closed or now - peer.heard > SILENCE:
                yield from self._lose(peer)
        self._replace(now)
        self._tell(now)

    def stop(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        self._selector.close()
        self._listener.close()
        for peer in self._peers:
            if peer.who:
                peer.channel.send(Kind.STOP)
        try:
            self._engine.stop()
            self._part()
        finally:
            for peer in self._peers:
                peer.channel.close()
            self._roster.close()

    def _part(self) -> None:
        """Waits a moment for workers to hang up themselves: a connection that is cut may lose the last word."""
        end = time.monotonic() + FAREWELL
        while (left := [peer for peer in self._peers if not peer.channel.closed]) and time.monotonic() < end:
            time.sleep(FAREWELL / 20)
            for peer in left:
                with contextlib.suppress(OSError):
                    peer.channel.flush()
                    deque(peer.channel.received(), maxlen=0)

    def _accept(self) -> None:
        while True:
            try:
                plain, (host, *_) = self._listener.accept()
            except OSError:  # no more, for now
                return
            if sum(peer.who is None for peer in self._peers) >= MOST_STRANGERS:
                plain.close()
                continue
            plain.setblocking(False)
            shaking = self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            peer = _Peer(Channel(shaking), str(host))
            self._peers.append(peer)
            self._selector.register(peer.channel, selectors.EVENT_READ, peer)

    def _serve(self, peer: _Peer) -> Iterator[tuple[Shard, Event]]:
        """Takes what a worker says."""
        try:
            new = not peer.channel.shaken
            if not peer.channel.shake():
                return
            if new:
                peer.channel.send(Kind.QUESTION, json.dumps(self._trained).encode())
            for kind, content in peer.channel.received():
                peer.heard = time.monotonic()
                yield from self._take(peer, kind, content)
        except ssl.SSLError as error:
            if is_other_key(error):
                self._once(f"A worker at {peer.where} is refused: it has another key.")
            self._forget(peer)
            return
        except (OSError, ValueError):  # no worker
            self._forget(peer)
            return
        self._watch(peer)

    def _take(self, peer: _Peer, kind: Kind, content: bytes) -> Iterator[tuple[Shard, Event]]:
        if peer.who is None:
            if kind is Kind.ANNOUNCEMENT:
                self._judge(peer, Announcement.read(content))
        elif kind is Kind.EVENT:
            event = pickle.loads(content)
            if isinstance(event, Updated):
                self._roster.trained(peer.who, event)
            if peer.shard is not None:
                shard = peer.shard
                if isinstance(event, LAST):
                    self._rest(peer)
                yield shard, event
        elif kind is Kind.DIED and peer.shard is not None:
            shard = self._rest(peer)
            yield shard, Lost()
        elif kind is Kind.OUTPUT:
            self._roster.printed(peer.who, content)
        elif kind is Kind.LEAVING:
            peer.leaving = True
            self._say(f"{_sentence(peer.who)} was told to go; its runs go on elsewhere.")

    def _judge(self, peer: _Peer, who: Announcement) -> None:
        """Takes a worker, or refuses it by name."""
        if who.hired and self._expected:
            self._expected -= 1
        if why := who.refusal(self._made):
            self._once(f"{_sentence(who)} is refused as a worker: {why}.")
            peer.channel.send(Kind.REFUSED, why.encode())
            return  # it closes the connection, or is closed as a stranger
        peer.who, peer.channel.known = who, True
        self._roster.joined(who)
        peer.channel.send(Kind.TAKEN)

    def _rest(self, peer: _Peer) -> Shard:
        shard, peer.shard = peer.shard, None
        assert shard is not None
        assert peer.who
        self._roster.rests(peer.who)
        return shard

    def _lose(self, peer: _Peer) -> Iterator[tuple[Shard, Event]]:
        """Gives up a worker that is gone."""
        self._forget(peer)
        if peer.who is None:
            return
        self._roster.left(peer.who)
        if peer.shard is not None:
            if not peer.leaving:
                self._say(f"{_sentence(peer.who)} is lost; its runs go on elsewhere.")
            yield peer.shard, Lost(told=peer.leaving)

    def _forget(self, peer: _Peer) -> None:
        self._selector.unregister(peer.channel)
        self._peers.remove(peer)
        peer.channel.close()

    def _watch(self, peer: _Peer) -> None:
        """Waits to write to a worker, too, where not all is written."""
        if not peer.channel.closed:
            peer.channel.flush()
            wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.channel.backlog else 0)
            self._selector.modify(peer.channel, wanted, peer)

    def _replace(self, now: float) -> None:
        """Has workers started in the place of those that the engine had started and that are gone."""
        here = sum(peer.who is not None and peer.who.hired and not peer.leaving for peer in self._peers)
        lacking = self._wanted - here - self._expected
        if lacking <= 0 or self.idle or now - self._asked < AGAIN:
            return
        self._asked = now
        try:
            self._engine.start(self._worker, lacking)
            self._expected += lacking
        except Exception as error:
            self._once(f"warning: lost workers could not be replaced: {' '.join(str(error).split())}")

    def _tell(self, now: float) -> None:
        """Says what is waited for while there is no worker; writes down who is here."""
        self._roster.write(now)
        if any(peer.who for peer in self._peers):
            self._alone, self._patience = now, 0.0  # that the last one is gone is said at once
        elif now - self._alone >= self._patience:
            self._patience = max(2 * self._patience, PATIENCE)
            hired = f" ({self._engine.state()}; logs in {self._roster.logs})" if self._wanted else ""
            self._say(
                f"Waiting for workers: none is here{hired}. "
                f"`python -m pglab.worker {self._roster.study}` on any machine that sees this folder is one."
            )

    def _once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)


def _sentence(who: Announcement) -> str:
    """A worker's name at the beginning of a sentence."""
    return f"{who.name[0].upper()}{who.name[1:]}"
