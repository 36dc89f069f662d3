"""Whoever does not have the study's key is not listened to, and nothing listens longer than the study."""

import os
import pickle
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pglab.cli import compose_runs
from pglab.errors import InputError
from pglab.results import load
from pglab.store.sessions import KEY, sessions
from pglab.studies.cluster.address import Address
from pglab.studies.cluster.channel import HEADER, Kind
from pglab.studies.cluster.door import Door
from pglab.studies.cluster.key import context, make_key
from pglab.studies.cluster.pool import ClusterPool
from pglab.studies.console import Console
from pglab.studies.execute import execute
from pglab.studies.plan import Plan, make_plan
from pglab.studies.train import _tried_alone
from tests.conftest import ROOT


class Marks:
    """A pickle that leaves a file where it is read."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self):
        return Path.touch, (self._file,)


@pytest.fixture
def plan(tmp_path: Path, tiny) -> Plan:
    keys = [key for key in tiny if not key.startswith("workers")]
    return make_plan(compose_runs([*keys, "study=s", f"results_dir={tmp_path}", *DIALS]))


DIALS = ("cluster.workers=0", "cluster.address=127.0.0.1")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def pool(plan: Plan, said: list[str]) -> Iterator[ClusterPool]:
    plan.folder.mkdir()
    pool = Door(plan.settings["cluster"]).open(plan, said.append)
    yield pool
    pool.stop()


def look(pool: ClusterPool) -> None:
    """Lets the pool take what has come."""
    for _ in range(10):
        assert list(pool.events(0.02)) == []


def intrude(address: Address, tls: ssl.SSLContext, message: bytes, pool: ClusterPool) -> None:
    """Sends a message as soon as the handshake allows."""
    plain = socket.create_connection((address.host, address.port))
    with tls.wrap_socket(plain, do_handshake_on_connect=False) as stranger:
        stranger.setblocking(False)
        for _ in range(3):
            try:
                stranger.do_handshake()
                stranger.send(message)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
            except OSError:
                break
            look(pool)


def framed(file: Path) -> bytes:
    """An event that a worker could send, were it one."""
    content = pickle.dumps(Marks(file))
    return HEADER.pack(Kind.EVENT.value, len(content)) + content


def test_no_pickle_of_a_stranger_is_read_and_a_worker_still_trains(
    pool: ClusterPool, plan: Plan, said: list[str], tmp_path: Path
):
    ((folder, record),) = sessions(plan.folder)
    address, mark = Address.read(record.address), tmp_path / "read"
    make_key(other := tmp_path / "other.pem")
    assert pickle.loads(pickle.dumps(Marks(tmp_path / "it does"))) is None
    assert (tmp_path / "it does").exists()

    with socket.create_connection((address.host, address.port)) as plain:
        plain.sendall(framed(mark))
        look(pool)
    knows_none = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    announced_nothing, other_key = (context(key, ssl.PROTOCOL_TLS_CLIENT) for key in (folder / KEY, other))
    for tls in (knows_none, other_key, announced_nothing):
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # it does not mind whom it talks to
        intrude(address, tls, framed(mark), pool)
    assert not mark.exists()
    assert pool.idle == 0
    assert said[1:] == ["A worker at 127.0.0.1 is refused: it has another key."]

    command = [sys.executable, "-m", "pglab.worker", str(plan.folder)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as worker:
        assert execute(plan, pool, Console()).count("finished") == 1
        pool.stop()
        assert worker.wait() == 0
    assert len(load(plan.folder)) == 2
    assert not folder.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port))


def test_the_key_is_new_for_each_command_and_for_its_owner_alone(pool: ClusterPool, plan: Plan, tmp_path: Path):
    ((folder, _),) = sessions(plan.folder)
    make_key(tmp_path / "another.pem")
    first, second = (folder / KEY).read_bytes(), (tmp_path / "another.pem").read_bytes()
    assert first != second
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / KEY)] == [0o700, 0o600]
    assert b"PRIVATE KEY" in first


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("login1", Address("login1", 0)),
        ("10.0.0.1:7000", Address("10.0.0.1", 7000)),
        ("[fe80::1]:7000", Address("fe80::1", 7000)),
        ("fe80::1", Address("fe80::1", 0)),
    ],
)
def test_an_address_is_read_as_people_write_it(text: str, address: Address):
    assert Address.read(text) == address
    assert Address.read(str(address)) == address


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (("cluster.workers=0",), "cluster.workers=0 leaves nobody to train; with cluster.address=HOST"),
        (("cluster.workers=-1",), "cluster.workers=-1 must be a whole number of at least 0"),
        (("cluster.address='a:b'",), "a:b is no address; write HOST or HOST:PORT"),
        (("cluster.address=192.0.2.77.nowhere",), "cluster.address=192.0.2.77.nowhere: "),
        ((DIALS[1], "cluster.options.partition=debug"), "does not take cluster.options.partition=debug"),
        (("cluster.engine=nowhere.Engine",), "nowhere.Engine cannot be imported: No module named 'nowhere'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(keys: tuple[str, ...], told: str, tmp_path: Path, tiny):
    composed = compose_runs([*tiny, f"results_dir={tmp_path}", *keys])
    with pytest.raises(InputError, match=told.replace(".", r"\.")):
        Door(make_plan(composed).settings["cluster"])
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_enters_no_number_and_no_name(tmp_path: Path, tiny):
    keys = [*tiny, f"results_dir={tmp_path}"]
    here, there = (make_plan(compose_runs([*keys, *more])) for more in ((), (*DIALS, "cluster.options.x=1")))
    assert (here.folder, here.names, here.arms[0].name) == (there.folder, there.names, there.arms[0].name)
    assert here.arms[0].arm.identity == there.arms[0].arm.identity


def test_a_device_that_workers_have_need_not_be_here(tmp_path: Path, tiny):
    keys = [*tiny, "device=cuda", f"results_dir={tmp_path}"]
    here, there = (make_plan(compose_runs([*keys, *more])) for more in ((), DIALS))
    assert list(_tried_alone(there).programs) == [arm.name for arm in there.arms]
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="PyTorch finds no CUDA device here"):
            _tried_alone(here)
