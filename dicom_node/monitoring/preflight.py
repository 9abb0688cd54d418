"""`echonode check`: settings, disk, database, web port, certificates, weights, sandbox, destinations."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from dicom_node.errors import NodeError
from dicom_node.monitoring.certificates import verdict
from dicom_node.monitoring.web.password import Password
from dicom_node.network.outcomes import Accepted
from dicom_node.network.scu import echo
from dicom_node.process.clock import utc_now
from dicom_node.settings import Settings
from dicom_node.storage.disk import MEGABYTE
from dicom_node.study.sandbox.confinement import PROMISES
from dicom_node.study.sandbox.trial import confinement_here
from store.db.database import Database
from store.errors import StoreError

LOW_DISK_BYTES = 5 * 2**30
MARKS = {"ok": "[green]ok[/]", "warning": "[yellow]warning[/]", "failed": "[red]failed[/]"}


class CheckResult(NamedTuple):
    """One line of the printed table."""

    what: str
    verdict: str
    """`ok`, `warning` or `failed`."""
    detail: str


def run_checks(settings: Settings) -> int:
    """Print one line per check; return 1 if one failed, else 0."""
    table = Table("check", "verdict", "detail")
    failed = False
    for result in check_results(settings):
        table.add_row(result.what, MARKS[result.verdict], result.detail)
        failed |= result.verdict == "failed"
    Console().print(table)
    return 1 if failed else 0


def check_results(settings: Settings) -> Iterator[CheckResult]:
    """Run every check and yield its result."""
    yield CheckResult("settings", "ok", f"{settings.node.ae_title} on port {settings.node.port}")
    yield peers(settings)
    yield disk(settings)
    yield database(settings)
    yield web(settings)
    yield CheckResult("tls", *verdict(settings.tls, now=utc_now()))
    yield weights(settings)
    yield sandbox(settings)
    yield from destinations(settings)


def peers(settings: Settings) -> CheckResult:
    """Check that `[[peers]]` restricts who may connect."""
    if not settings.peers:
        return CheckResult("peers", "warning", "none listed: any machine on the network may send")
    return CheckResult("peers", "ok", ", ".join(f"{peer.ae_title} at {peer.host}" for peer in settings.peers))


def disk(settings: Settings) -> CheckResult:
    """Check that the data folder can be written and has free space."""
    folder = settings.node.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return CheckResult("disk", "failed", f"{folder}: {error.strerror}")
    if not os.access(folder, os.W_OK):
        return CheckResult("disk", "failed", f"{folder}: cannot be written")
    soft_mb, hard_mb = settings.disk.soft_free_mb, settings.disk.hard_free_mb
    detail = f"{free / 2**30:.1f} GiB free in {folder}"
    if free < hard_mb * MEGABYTE:
        return CheckResult("disk", "failed", f"{detail}: objects are refused below {hard_mb} MB")
    if free < soft_mb * MEGABYTE:
        return CheckResult("disk", "failed", f"{detail}: associations are rejected below {soft_mb} MB")
    return CheckResult(
        "disk", "warning" if free < max(LOW_DISK_BYTES, 2 * soft_mb * MEGABYTE) else "ok", detail
    )


def database(settings: Settings) -> CheckResult:
    """Check that the database is on a local disk, undamaged, and has the tables of this version."""
    try:
        with closing(Database(settings.store_url)) as opened:
            opened.upgrade()
            opened.check()
    except StoreError as error:
        return CheckResult("database", "failed", str(error))
    return CheckResult("database", "ok", settings.store_url)


def web(settings: Settings) -> CheckResult:
    """Check the password of the web port, which is required unless it listens on the loopback address."""
    try:
        password = Password.of(settings.web)
    except NodeError as error:
        return CheckResult("web", "failed", str(error))
    detail = f"{settings.web.host} port {settings.web.port}, {'with' if password else 'without'} password"
    return CheckResult("web", "ok", detail)


def weights(settings: Settings) -> CheckResult:
    """Check that the weights match their records and load on the device of the settings."""
    from inference.analyse import load_model  # noqa: PLC0415 - torch takes seconds to load
    from inference.errors import WeightsMismatch  # noqa: PLC0415 - with it

    try:
        model = load_model(settings.inference.weights, settings.inference.device)
    except WeightsMismatch as error:
        return CheckResult("weights", "failed", str(error))
    detail = f"{model.identity.name} {model.identity.version} {model.identity.sha256[:12]} on {model.device}"
    return CheckResult("weights", "ok", detail)


def sandbox(settings: Settings) -> CheckResult:
    """Start an analysis process and say what it can do that it should not."""
    try:
        found = confinement_here(settings)
    except NodeError as error:
        return CheckResult("sandbox", "failed", str(error))
    by = f"by {', '.join(found.by)}" if found.by else "nothing holds it back"
    if found.open:
        return CheckResult("sandbox", "warning", f"an analysis can {', '.join(found.open)} ({by})")
    return CheckResult("sandbox", "ok", f"an analysis cannot {', '.join(PROMISES)} ({by})")


def destinations(settings: Settings) -> Iterator[CheckResult]:
    """Send a C-ECHO to each destination."""
    if not settings.destinations:
        yield CheckResult("destinations", "warning", "none listed: results stay on this machine")
    for peer in settings.destinations:
        outcome = echo(peer, calling_ae=settings.node.ae_title, tls=settings.tls)
        verdict = "ok" if isinstance(outcome, Accepted) else "failed"
        detail = "answers C-ECHO" if verdict == "ok" else str(outcome)
        yield CheckResult(f"destination {peer.name}", verdict, detail)
