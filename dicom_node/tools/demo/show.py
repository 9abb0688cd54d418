"""The tables that the demo prints."""

from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import ComprehensiveSRStorage
from rich.console import Console
from rich.table import Column, Table

from dicom_node.audit.query import print_lines
from dicom_node.tools.demo.study import STUDY_UID, Study
from dicom_node.tools.demo.verdict import CONCEPTS, numbers, of_class
from store.audit import audit_log
from store.db.database import Database
from store.db.states import InstanceState
from store.rows import instances
from store.rows.instances import Instance

LAST_EVENTS = 14
UNITS = {"cm": "cm", "ml": "ml", "percent": "%"}


def show_instances(console: Console, database: Database, study: Study) -> None:
    """Print the state of each instance of the study, with its reason."""
    with database.read() as session:
        rows = {row.sop_instance_uid: row for row in instances.of_study(session, STUDY_UID)}
    table = Table("instance", "became", "because", title="The study, as the node sees it")
    for path, name in study.names.items():
        row = next(row for uid, row in rows.items() if uid == uid_of(path))
        table.add_row(name, row.state.replace("_", " ").lower(), why(row))
    console.print(table)


def why(row: Instance) -> str:
    """Return the reason of an instance's state."""
    if row.state is InstanceState.KEPT:
        return "no ultrasound image: kept, not analysed"
    strip = row.detail["strips"][0]
    if row.state is InstanceState.MEASURED:
        return f"{strip['cycles']} cycles, most probable {strip['probability']:.2f}"
    return f"{row.reason}: {strip['detail']}"


def uid_of(path: Path) -> str:
    """Return the SOP Instance UID of a file."""
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def show_measurements(console: Console, study: Study, received: Mapping[Path, Dataset]) -> None:
    """Print the numbers of the SR at the PACS beside the phantom's truth."""
    reports = of_class(received.values(), ComprehensiveSRStorage)
    found = numbers(reports[0]) if reports else {}
    table = Table("", "SR at the PACS", "phantom's truth", "unit", title="The left ventricle")
    for name in CONCEPTS.values():
        quantity, unit = name.rsplit("_", 1)
        digits = 2 if unit == "cm" else 0
        reported = f"{found[name]:.{digits}f}" if name in found else "missing"
        table.add_row(quantity, reported, f"{study.truth[name]:.{digits}f}", UNITS[unit])
    console.print(table)


def show_objects(console: Console, folder: Path, received: Mapping[Path, Dataset]) -> None:
    """Print the received objects with their paths; write the overlay as PNG too."""
    table = Table("object at the PACS", Column("file", overflow="fold"), title="What came back")
    for path, dataset in received.items():
        table.add_row(dataset.SOPClassUID.name, str(path))
        if "PixelData" in dataset:
            picture = folder / "overlay.png"
            Image.fromarray(dataset.pixel_array).save(picture)
            table.add_row("the same as a picture", str(picture))
    console.print(table)


def show_audit(console: Console, database: Database) -> None:
    """Print the last audit events as `echonode audit` does."""
    with database.read() as session:
        found = audit_log.events(session, limit=LAST_EVENTS)
    console.print("[italic]The last audit events[/]")
    print_lines(console, found)
