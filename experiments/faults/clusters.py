"""A cluster of Slurm with one node on this machine: Debian's slurm-wlm and munge, run as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = ["SlurmCluster"]

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scancel", "squeue", "scontrol")
"""Programs that a cluster takes."""

_CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=10
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=20
MinJobAge=300
SchedulerParameters=sched_interval=2,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
"""Settings of the cluster."""


class SlurmCluster:
    """Daemons of their own, in a folder and at ports of their own; `environment` leads commands there.

    Raises `FileNotFoundError` if Slurm is not installed or this user is not root, and `TimeoutError` if it
    does not start.
    """

    def __init__(self, folder: Path) -> None:
        if os.geteuid() != 0 or not all(map(shutil.which, _PROGRAMS)):
            raise FileNotFoundError("needs Slurm as root: apt-get install slurm-wlm munge")
        self.folder = folder
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        (folder / "state").mkdir(parents=True)
        (folder / "spool").mkdir()
        folder.chmod(0o755)
        ports = [_free_port() for _ in range(2)]
        host = socket.gethostname().partition(".")[0]
        text = _CONFIGURATION.format(host=host, ports=ports, folder=folder)
        (folder / "slurm.conf").write_text(text)
        (folder / "munge.key").write_bytes(os.urandom(128))
        (folder / "munge.key").chmod(0o400)
        files = [
            f"--{name}={folder}/munge.{name.partition('-')[0]}" for name in ("socket", "pid-file", "log-file")
        ]
        files += [f"--key-file={folder}/munge.key", f"--seed-file={folder}/munge.seed"]
        self._daemons = [
            self._start("munged", "--foreground", "--force", *files),
            self._start("slurmctld", "-D"),
            self._start("slurmd", "-D", "-N", host),
        ]
        self._wait_until_idle()

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command[0]}.out").open("ab") as log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)

    def _wait_until_idle(self) -> None:
        deadline = time.monotonic() + 60
        while "idle" not in self.run("sinfo", "--noheader", "--format=%T"):
            if time.monotonic() > deadline:
                self.stop()
                raise TimeoutError(f"Slurm does not start here: see {self.folder}")
            time.sleep(0.5)

    def run(self, *command: str) -> str:
        """Run a command of Slurm, and return what it prints."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False
        ).stdout

    def stop(self) -> None:
        """End all jobs and the daemons."""
        self.run("scancel", "--user", "root", "--signal=KILL", "--full")
        self.run("scancel", "--user", "root")
        time.sleep(1)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(timeout=15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path) -> Iterator[SlurmCluster]:
        """A cluster that is ended with the block."""
        cluster = cls(folder)
        try:
            yield cluster
        finally:
            cluster.stop()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
