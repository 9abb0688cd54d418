"""Run a role of the node, and die by SIGKILL at a named moment.

    python -m support.role receive|work|serve CONFIG [--watch-stdin]

DIE_AT="module:name" kills the process when that function is called, "module:name:after" when it has
returned. It happens once: the file named by DIED_ONCE is made first, and its presence prevents it.
ROLE_LOG_LEVEL is the lowest level that is logged. WITH_NETWORKS lets the worker measure with the real
networks; without it the analyzer is the fake one.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

from dicom_node.process import logs
from dicom_node.process.stop_signal import StopSignal
from dicom_node.settings import Settings
from support import write_lock_watch


def arm(moment: str, marker: Path) -> None:
    """Put the SIGKILL around the function that `moment` names."""
    module, path, *when = moment.split(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    setattr(owner, name, _deadly(getattr(owner, name), marker, after=when == ["after"]))


def _deadly(function: Callable[..., Any], marker: Path, *, after: bool) -> Callable[..., Any]:
    def wrapper(*args: Any, **options: Any) -> Any:
        returned = function(*args, **options) if after else None
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return returned if after else function(*args, **options)

    return wrapper


def serve(settings: Settings, config: str) -> int:
    """Supervise this script's own roles as `dicom_node.serve` does with the command's."""
    from dicom_node.roles.children import Child  # noqa: PLC0415 - of this role alone
    from dicom_node.roles.start import open_runtime  # noqa: PLC0415 - of this role alone
    from dicom_node.roles.supervisor import supervise  # noqa: PLC0415 - of this role alone

    class ForkedChild(Child):
        """A child that is a fork of this process (see forked_popen.py): SQLite must not be open in it."""

        def tend(self, now_s: float) -> int | None:
            runtime.database.close()
            return super().tend(now_s)

    runtime = open_runtime(settings, Event())
    runtime.database.upgrade()
    program = [sys.executable, "-m", "support.role"]
    children = [ForkedChild(role, [*program, role, config, "--watch-stdin"]) for role in ("receive", "work")]
    with StopSignal() as stop:
        exit_code = supervise(children, runtime, stop)
    runtime.database.close()
    return exit_code


def die_of(what: str) -> None:
    """End the process: no test can overlook that."""
    print(f"slow inside a write transaction: {what}", file=sys.stderr, flush=True)
    os.abort()


def main() -> int:
    """Do what the command line says."""
    write_lock_watch.install(die_of)
    role, config, *options = sys.argv[1:]
    logs.configure(level=os.environ.get("ROLE_LOG_LEVEL", "INFO"))
    settings = Settings.load(Path(config))
    if "DIE_AT" in os.environ:
        arm(os.environ["DIE_AT"], Path(os.environ["DIED_ONCE"]))
    if role == "serve":
        return serve(settings, config)
    if role == "receive":
        from dicom_node.roles.receiver import run_receiver  # noqa: PLC0415 - of this role alone

        return run_receiver(settings, watch_stdin=bool(options))
    from dicom_node.roles.worker import run_worker  # noqa: PLC0415 - of this role alone
    from dicom_node.study.image_analyzer import load_decoder  # noqa: PLC0415 - as above
    from support import fake_analyzer  # noqa: PLC0415 - as above

    load = load_decoder if "WITH_NETWORKS" in os.environ else fake_analyzer.fake_analyzer
    return run_worker(settings, watch_stdin=bool(options), load_analyzer=load)


if __name__ == "__main__":
    sys.exit(main())
