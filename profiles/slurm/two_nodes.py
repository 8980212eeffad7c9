"""A SLURM of two nodes on this machine, as long as a command runs: where to try a profile before the real cluster.

`python profiles/slurm/two_nodes.py <command> ...` starts munge, a controller and two nodes in a temporary folder, on
the loopback device alone, runs the command with `SLURM_CONF` set, and takes everything away again. Each node says
that it has four cores, half of the machine's memory and two GPUs, which are only counted.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

NODES = ("node1", "node2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
START_SECONDS = 60

# No accounting and no control groups, which a container seldom has: processes are found by their parents, and what
# a job has in memory is asked every second. A job that is put back waits until its old credential has expired.
CONFIGURATION = """
ClusterName=two-nodes
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=20
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/%n
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
ReturnToService=2
SlurmdTimeout=15
KillWait=20
MinJobAge=3600
GresTypes=gpu
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cores} RealMemory={memory} Gres=gpu:2
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cores} RealMemory={memory} Gres=gpu:2
PartitionName=two-nodes Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def lacks() -> str | None:
    """What this machine lacks to run it, in a sentence; None if nothing."""
    missing = [program for program in PROGRAMS if _found(program) is None]
    if missing:
        return (
            f"there is no {', '.join(missing)}: apt-get install slurm-wlm munge, or another distribution's packages."
        )
    if os.geteuid():
        return "only root can run a SLURM of its own: try it in a container."
    return None


class TwoNodes:
    """The cluster. `folder`: its configuration, state and logs; `cores`: of each node; `variables`: of the
    environment, for those who are to find it."""

    def __init__(self, folder: Path, cores: int = 4) -> None:
        self.folder, self.cores, self.daemons = folder, cores, {}
        path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.variables = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
        self.environment = {**os.environ, **self.variables}

    def start(self) -> None:
        """Start the daemons and wait until both nodes take jobs. RuntimeError with the logs if they do not."""
        for name in ("bin", "munge", "state", *NODES):
            (self.folder / name).mkdir()
        step = self.folder / "bin" / "srun"  # Snakemake takes SLURM's variables from the steps of a job
        step.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {_found("srun")} "$@"\n')
        step.chmod(0o755)
        self.folder.chmod(0o711), (self.folder / "munge").chmod(0o711)  # munge's socket is for every user
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=socket.gethostname().partition(".")[0],
                ports=_free_ports(3),
                folder=self.folder,
                cores=self.cores,
                memory=psutil.virtual_memory().total // 2**20 // 2,
            )
        )
        for number in range(2):
            (self.folder / f"gpu{number}").touch()
        (self.folder / "gres.conf").write_text(f"AutoDetect=off\nName=gpu File={self.folder}/gpu[0-1]\n")
        key = self.folder / "munge" / "key"
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        files = {name: self.folder / "munge" / name for name in ("socket", "pid", "log", "seed")}
        options = [f"--{name}{'' if name == 'socket' else '-file'}={file}" for name, file in files.items()]
        self._begin("munged", "--foreground", f"--key-file={key}", *options)
        self._begin("slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        deadline = time.monotonic() + START_SECONDS
        while self.states() != dict.fromkeys(NODES, "idle"):
            ended = [name for name, daemon in self.daemons.items() if daemon.poll() is not None]
            if ended or time.monotonic() > deadline:
                logs = [f"{log}:\n{log.read_text(errors='replace')[-2000:]}" for log in self.folder.rglob("*log")]
                raise RuntimeError(f"SLURM did not start ({', '.join(ended) or 'in time'}).\n" + "\n".join(logs))
            time.sleep(0.2)

    def start_node(self, node: str) -> None:
        """Start the daemon of `node`."""
        self._begin("slurmd", "-D", "-N", node, name=node)

    def kill_node(self, node: str) -> None:
        """As if the machine were gone: its daemon, and all that it runs, in an instant."""
        daemon = psutil.Process(self.daemons[node].pid)
        gone = {daemon, *daemon.children(recursive=True), *self._processes(node)}
        while gone:
            for end in (psutil.Process.suspend, psutil.Process.kill):  # none sees another go
                for process in gone:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        end(process)
            gone = set(self._processes(node))  # started meanwhile
        self.daemons.pop(node).wait()

    def call(self, *command: str) -> str:
        """What a command of SLURM prints."""
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout

    def states(self) -> dict[str, str]:
        """{node: its state}; empty as long as the controller does not answer."""
        try:
            return dict(map(str.split, self.call("sinfo", "--noheader", "--Node", "--format=%N %t").splitlines()))
        except subprocess.CalledProcessError:
            return {}

    def jobs(self) -> dict[str, dict[str, str]]:
        """{number of a job, or of a task of an array: what `scontrol show job` tells of it} of all so far."""
        told = self.call("scontrol", "show", "job", "--all", "--oneliner").splitlines()
        jobs = [dict(pair.split("=", 1) for pair in line.split() if "=" in pair) for line in told]
        return {job["JobId"]: job for job in jobs if "JobId" in job}

    def stop(self) -> None:
        """End all jobs and daemons."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.call("scancel", "--full", "--signal=KILL", "--user=root")
        for name, daemon in reversed(list(self.daemons.items())):
            if name in NODES:
                self.kill_node(name)
            else:
                daemon.send_signal(signal.SIGTERM)
                try:
                    daemon.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    daemon.kill()
                    daemon.wait()

    def _processes(self, node):
        """What runs for jobs on `node`, with what watches over it there."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                told, watching = process.environ(), process.parent()
                if (told.get("SLURM_CONF"), told.get("SLURMD_NODENAME")) == (self.variables["SLURM_CONF"], node):
                    yield process
                    if watching and watching.name() == "slurmstepd":
                        yield watching

    def _begin(self, program, *options, name=None):
        log = (self.folder / f"{name or program}.out").open("w")
        command = [_found(program), *options]
        self.daemons[name or program] = subprocess.Popen(
            command, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )


@contextlib.contextmanager
def two_nodes(**options: int) -> Iterator[TwoNodes]:
    """The cluster, running inside; `options` of `TwoNodes`."""
    with tempfile.TemporaryDirectory(prefix="two-nodes-", ignore_cleanup_errors=True) as folder:
        cluster = TwoNodes(Path(folder), **options)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


def _found(program):
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/sbin")


def _free_ports(count):
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def main(command: list[str]) -> int:
    """Run `command` beside the cluster; its exit code."""
    lacking = lacks()
    if lacking or not command:
        sys.exit(f"two_nodes: {lacking or 'name a command to run.'}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # which takes everything away too
    with two_nodes() as cluster:
        process = subprocess.Popen(command, env=cluster.environment)
        try:
            return process.wait()
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
