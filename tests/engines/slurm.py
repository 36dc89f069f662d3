"""A SLURM of its own on this machine: a controller, and nodes in network namespaces with addresses of their own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from tests.waiting import until

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "ip", "unshare", "setpriv")
NODES = ("node1", "node2")
CONFIGURATION = """
ClusterName=pglab
SlurmctldHost={host}({network}.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=20
MinJobAge=30
SlurmdTimeout=20
NodeName=node1 NodeAddr={network}.11 CPUs=2 State=UNKNOWN
NodeName=node2 NodeAddr={network}.12 CPUs=2 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def lacking() -> str:
    """Why there can be none here; empty where there can."""
    missing = [program for program in PROGRAMS if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing:
        return f"SLURM on this machine needs {', '.join(missing)} (apt-get install slurm-wlm munge iproute2)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    tried = subprocess.run(["unshare", "--net", "true"], check=False, capture_output=True)
    return "no network namespaces here" if tried.returncode else ""


class Slurm:
    """Two nodes of two processors, until `stop`.

    Attributes:
        variables: of the environment, by which SLURM's commands find it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        self._processes: dict[str, subprocess.Popen] = {}
        mine = os.getpid()  # several may be there at once
        self._name, self.network = f"pg{mine % 10**6}", f"10.{64 + mine // 250 % 64}.{mine % 250}"

    def start(self) -> None:
        """Raises AssertionError, with all that is there taken away, where it does not come up."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir()
        told = {"host": socket.gethostname(), "folder": self.folder, "network": self.network}
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(**told))
        (self.folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")  # of which nothing is used
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        self._network()
        files = [f"--{name}={self.folder}/munge.{name.split('-')[0]}" for name in ("socket", "pid-file", "log-file")]
        self._begin("munged", "munged", "--foreground", "--force", f"--key-file={key}", *files,
                    f"--seed-file={self.folder}/munge.seed")  # fmt: skip
        assert until((self.folder / "munge.socket").exists, self._processes["munged"])
        self._begin("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        ready = until(
            lambda: self("sinfo", "--noheader", "--format=%T").split() == ["idle"], self._processes["node1"], 0.2
        )
        assert ready, "".join(file.read_text() for file in self.folder.glob("*.out"))

    def start_node(self, node: str) -> None:
        inside = f"hostname {node} && exec slurmd -D -N {node}"
        self._begin(node, "ip", "netns", "exec", self._namespace(node), "unshare", "--uts", "sh", "-c", inside)

    def kill_node(self, node: str) -> None:
        """Has all that runs there gone at once, as when the power fails."""
        for process in self.processes(node):
            _kill(process)
        self._processes.pop(node).wait()

    @property
    def queue(self) -> list[str]:
        """The jobs that run or wait, array tasks one by one."""
        return self("squeue", "--noheader", "--array", "--format=%i").split()

    def processes(self, node: str) -> list[int]:
        """All that run there."""
        told = subprocess.run(
            ["ip", "netns", "pids", self._namespace(node)], check=True, capture_output=True, text=True
        )
        return [int(process) for process in told.stdout.split()]

    def __call__(self, *command: str) -> str:
        """Has a command of SLURM's done; returns what it prints."""
        variables = {**os.environ, **self.variables}
        return subprocess.run(command, check=False, capture_output=True, text=True, env=variables).stdout

    def stop(self) -> None:
        for node in NODES:
            if node in self._processes:
                self.kill_node(node)
        for process in self._processes.values():
            process.kill()
            process.wait()
        for node in NODES:
            subprocess.run(["ip", "netns", "delete", self._namespace(node)], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", self._name], check=False, capture_output=True)

    def _network(self) -> None:
        """A bridge with our address, and a namespace with an address for each node."""
        _ip(f"link add {self._name} type bridge")
        _ip(f"addr add {self.network}.1/24 dev {self._name}")
        _ip(f"link set {self._name} up")
        for place, node in enumerate(NODES):
            space, link = self._namespace(node), f"{self._name}-{place + 1}"
            _ip(f"netns add {space}")
            _ip(f"link add {link} type veth peer name eth0 netns {space}")
            _ip(f"link set {link} master {self._name} up")
            _ip(f"-n {space} addr add {self.network}.1{place + 1}/24 dev eth0")
            _ip(f"-n {space} link set eth0 up")
            _ip(f"-n {space} link set lo up")

    def _namespace(self, node: str) -> str:
        return f"{self._name}-{node}"

    def _begin(self, name: str, *command: str) -> None:
        with open(self.folder / f"{name}.out", "ab") as out:
            self._processes[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                env={**os.environ, **self.variables},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )


def _namespace(node: str) -> str:
    return f"pglab-{node}"


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True, capture_output=True)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
