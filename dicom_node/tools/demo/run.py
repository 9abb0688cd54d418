"""The steps of `echonode demo`."""

import tempfile
from pathlib import Path

from rich.console import Console

from dicom_node.network.outcomes import Accepted
from dicom_node.network.scu import Outgoing, send_objects
from dicom_node.process.logs import quiet_libraries
from dicom_node.settings.sections import Destination
from dicom_node.tools.demo.node import Node, running_node
from dicom_node.tools.demo.pacs import LoopbackPacs
from dicom_node.tools.demo.show import show_audit, show_instances, show_measurements, show_objects
from dicom_node.tools.demo.study import Study, make_study
from dicom_node.tools.demo.verdict import errors_of
from dicom_node.tools.demo.wait import DemoTimeout, wait_for

LIMIT_S = 120.0
"""Of each step."""
RESULTS = 2
"""One SR and one overlay, of the only image in the study with a left ventricle."""


def run_demo() -> int:
    """Send a study through a node and check the results; return 0 when all are correct, else 1."""
    quiet_libraries()
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="echonode-demo-"))
    try:
        errors = send_through_node(console, folder)
    except DemoTimeout as timeout:
        errors = [str(timeout), f"the log of the node: {folder / 'node.log'}"]
    for error in errors:
        console.print(f"[red]{error}[/]")
    console.print("[red]the demo failed[/]" if errors else f"[green]done.[/] All files stay in {folder}")
    return 1 if errors else 0


def send_through_node(console: Console, folder: Path) -> list[str]:
    """Run the demo and show its results; return the errors in what the PACS received."""
    with console.status("working") as status, LoopbackPacs(folder / "pacs") as pacs:

        def step(what: str) -> None:
            console.print(f"[cyan]>[/] {what}")
            status.update(what)

        step("making a study: LV M-mode, TAPSE M-mode, 2D image, vendor SR")
        study = make_study(folder / "study")
        step("starting the node: supervisor, receiver, worker")
        with running_node(folder, pacs.port, LIMIT_S) as node:
            step("pushing the study over an association")
            push(study, node)
            step("waiting until the PACS has the SR and the overlay")
            wait_for(lambda: node.delivered() >= RESULTS, LIMIT_S, "SR and overlay did not reach the PACS")
            show(console, folder, study, node, pacs)
            step("stopping the node")
        return errors_of(study, pacs.received)


def push(study: Study, node: Node) -> None:
    """Send the study as a scanner would, over one association.

    Raises:
        DemoTimeout: the node did not accept an object.
    """
    peer = Destination(name="node", ae_title="ECHONODE", host="127.0.0.1", port=node.port)
    objects = [Outgoing(path=path) for path in study.paths]
    for path, outcome in zip(study.paths, send_objects(peer, objects, calling_ae="SCANNER"), strict=True):
        if not isinstance(outcome, Accepted):
            raise DemoTimeout(f"the node did not take {path.name}: {outcome}")


def show(console: Console, folder: Path, study: Study, node: Node, pacs: LoopbackPacs) -> None:
    """Print instances, measurements, result objects and audit events."""
    show_instances(console, node.database, study)
    show_measurements(console, study, pacs.received)
    show_objects(console, folder, pacs.received)
    show_audit(console, node.database)
