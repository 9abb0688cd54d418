"""`echonode demo`: the whole way once, on one machine, with nothing prepared."""

import tempfile
from pathlib import Path

from rich.console import Console

from dicom_node.network.scu import Accepted, send_objects
from dicom_node.process.logs import quiet_libraries
from dicom_node.settings.sections import Destination
from dicom_node.tools.demo.node import Node, running_node
from dicom_node.tools.demo.pacs import LoopbackPacs
from dicom_node.tools.demo.show import show_audit, show_instances, show_measurements, show_objects
from dicom_node.tools.demo.study import Study, make_study
from dicom_node.tools.demo.verdict import complaints_about
from dicom_node.tools.demo.wait import Impatient, wait_for

PATIENCE_S = 120.0
RESULTS = 2
"""One SR and one overlay: only one image of the study is a left ventricle."""


def run_demo() -> int:
    """Study in, SR and overlay out; 0 only when both arrived and say what they should."""
    quiet_libraries()
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="echonode-demo-"))
    try:
        complaints = through_the_node(console, folder)
    except Impatient as error:
        complaints = [str(error), f"the log of the node: {folder / 'node.log'}"]
    for complaint in complaints:
        console.print(f"[red]{complaint}[/]")
    console.print("[red]the demo failed[/]" if complaints else f"[green]done.[/] All files stay in {folder}")
    return 1 if complaints else 0


def through_the_node(console: Console, folder: Path) -> list[str]:
    """Runs and shows the demo; returns what is wrong with what arrived."""
    with console.status("working") as status, LoopbackPacs(folder / "pacs") as pacs:

        def step(what: str) -> None:
            console.print(f"[cyan]>[/] {what}")
            status.update(what)

        step("making a study: LV M-mode, TAPSE M-mode, 2D image, vendor SR")
        study = make_study(folder / "study")
        step("starting the node: supervisor, receiver, worker")
        with running_node(folder, pacs.port, PATIENCE_S) as node:
            step("pushing the study over an association")
            push(study, node)
            step("waiting until the PACS has the SR and the overlay")
            wait_for(lambda: node.delivered() >= RESULTS, PATIENCE_S, "SR and overlay did not reach the PACS")
            show(console, folder, study, node, pacs)
            step("stopping the node")
        return complaints_about(study, pacs.received)


def push(study: Study, node: Node) -> None:
    """Sends the study as a scanner would, all of it over one association."""
    peer = Destination(name="node", ae_title="ECHONODE", host="127.0.0.1", port=node.port)
    for path, answer in zip(study.paths, send_objects(peer, study.paths, calling_ae="SCANNER"), strict=True):
        if not isinstance(answer, Accepted):
            raise Impatient(f"the node did not take {path.name}: {answer}")


def show(console: Console, folder: Path, study: Study, node: Node, pacs: LoopbackPacs) -> None:
    """Everything a visitor wants to see."""
    show_instances(console, node.database, study)
    show_measurements(console, study, pacs.received)
    show_objects(console, folder, pacs.received)
    show_audit(console, node.database)
