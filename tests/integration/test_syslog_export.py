"""Audit messages to a real syslog server over TLS, which dies, comes back, and misses nothing."""

import base64
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from support.certificates import Authority
from support.databases import upgraded
from support.fork_server import SEARCH_PATH
from support.node import free_port, wait_for

from dicom_node.audit.dicom_message import KINDS
from dicom_node.audit.sealing import seal_old
from dicom_node.audit.syslog import BATCH, SyslogExporter, attempts_in_vain, lag_s
from dicom_node.settings import Settings
from store.audit import audit_log
from store.db.database import Database

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)


@dataclass(kw_only=True)
class Syslog:
    """The server: `start`, `kill`, and what it has written down."""

    port: int
    certificate: Path
    file: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, **environment: str) -> None:
        """Start it and wait until it listens."""
        command = [
            sys.executable,
            "-m",
            "support.syslog_server",
            str(self.port),
            str(self.certificate),
            str(self.file),
        ]
        process = subprocess.Popen(
            command,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": SEARCH_PATH, **environment},
            text=True,
        )
        self.processes.append(process)
        wait_for(lambda: listening(self.port), "the syslog server listens")

    def kill(self) -> None:
        """Kill it at once."""
        for process in self.processes:
            process.kill()
            process.wait()

    def messages(self) -> list[ET.Element]:
        """Return the messages it has, in order."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [ET.fromstring(json.loads(line)["xml"]) for line in lines if line.endswith("}")]  # noqa: S314 - our own

    def studies(self) -> list[str]:
        """Return the study UID of each message."""
        return [
            each.attrib["ParticipantObjectID"]
            for message in self.messages()
            for each in message.iter("ParticipantObjectIdentification")
        ]


def listening(port: int) -> bool:
    """Tell from the kernel's table, without a connection that the server would have to serve."""
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in table)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return the authority that both sides trust."""
    return Authority(tmp_path)


@pytest.fixture
def syslog(tmp_path: Path, authority: Authority) -> Iterator[Syslog]:
    """Return a server that is not started."""
    made = Syslog(
        port=free_port(), certificate=authority.issue("syslog").in_one_file(), file=tmp_path / "received"
    )
    yield made
    made.kill()


@pytest.fixture
def settings(tmp_path: Path, syslog: Syslog, authority: Authority) -> Settings:
    """Return settings of a node that sends to the server."""
    table = {"syslog_host": "127.0.0.1", "syslog_port": syslog.port, "syslog_ca": str(authority.ca)}
    (tmp_path / "data").mkdir()
    return Settings(node={"data_dir": tmp_path / "data"}, audit={**table, "keep_days": 1})  # type: ignore[arg-type]  # parsed by pydantic


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Return an empty database."""
    with closing(upgraded(settings.store_url)) as made:
        yield made


def receive(database: Database, *studies: int, event: str = "instance.received", **columns: Any) -> None:
    """Record one event per study."""
    with database.transaction() as session:
        for study in studies:
            audit_log.record(
                session,
                event,
                at=NOW,
                peer_ae="VIVID",
                peer_ip="192.0.2.10",
                study_uid=f"1.2.{study}",
                sop_instance_uid=f"1.2.{study}.1",
                **columns,
            )


def exporting(settings: Settings, database: Database) -> Callable[[], int]:
    """Return a function that sends what waits, each time five minutes later."""
    steady_s = itertools.count(0, 300).__next__
    return SyslogExporter(settings=settings, database=database, steady_s=steady_s).send_waiting


def test_messages_arrive_once_and_in_order(syslog: Syslog, settings: Settings, database: Database) -> None:
    """A server that behaves gets every message exactly once."""
    syslog.start()
    receive(database, *range(BATCH + 20))
    export = exporting(settings, database)

    assert export() == BATCH + 20
    assert export() == 0
    receive(database, 7000)
    assert export() == 1
    assert syslog.studies() == [f"1.2.{study}" for study in (*range(BATCH + 20), 7000)]


def test_killed_in_mid_stream(
    syslog: Syslog, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is killed while messages come in, again and again, misses none of them."""
    monkeypatch.setattr("dicom_node.audit.syslog.BATCH", 50)
    receive(database, *range(1000))
    export = exporting(settings, database)
    for round_ in range(1, 6):
        syslog.start()
        killer = subprocess.Popen(
            [sys.executable, "-c", KILLER, str(syslog.file), str(150 * round_), str(syslog.processes[-1].pid)]
        )
        export()
        killer.kill()
        killer.wait()
        syslog.kill()
    syslog.start()
    export()

    assert {f"1.2.{study}" for study in range(1000)} == set(syslog.studies())
    assert lag_s(database, now=NOW) == 0


KILLER = """
import os, signal, sys
file, lines, pid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
while not os.path.exists(file) or open(file, "rb").read().count(b"\\n") < lines:
    pass
os.kill(pid, signal.SIGKILL)
"""


def test_a_server_without_manners(syslog: Syslog, settings: Settings, database: Database) -> None:
    """One that closes without close_notify gets each message once too."""
    syslog.start(RUDE="1")
    receive(database, 1, 2)
    export = exporting(settings, database)

    assert export() == 2
    assert export() == 0
    assert syslog.studies() == ["1.2.1", "1.2.2"]


def test_a_server_that_is_away(
    syslog: Syslog, settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is tried again after longer and longer waits, loudly; the age of what waits is known."""
    receive(database, 1)
    now_s = [0.0]
    exporter = SyslogExporter(settings=settings, database=database, steady_s=lambda: now_s[0])

    for now_s[0] in range(60):
        assert exporter.send_waiting() == 0
    assert capsys.readouterr().out.count("syslog.unreachable") == 4  # at 0, 5, 15 and 35 s
    assert lag_s(database, now=NOW + timedelta(minutes=1)) == 60
    assert attempts_in_vain(database) == 4
    syslog.start()
    now_s[0] = 120
    assert exporter.send_waiting() == 1
    assert attempts_in_vain(database) == 0
    assert lag_s(database, now=NOW + timedelta(minutes=2)) == 0


def test_a_restart_goes_on_with_longer_waits(
    settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """Attempts are counted in a row: who starts again tries at once, and then as rarely as before."""
    receive(database, 1)
    for _ in range(3):
        SyslogExporter(settings=settings, database=database, steady_s=lambda: 0.0).send_waiting()

    said = capsys.readouterr().out
    assert [wait in said for wait in ("again_in_s=5.0", "again_in_s=10.0", "again_in_s=20.0")] == [True] * 3
    assert attempts_in_vain(database) == 3


def test_a_stranger_gets_nothing(
    syslog: Syslog, settings: Settings, database: Database, tmp_path: Path
) -> None:
    """A server whose certificate another authority signed is not told anything."""
    (tmp_path / "strange").mkdir()
    syslog.certificate = Authority(tmp_path / "strange", "stranger").issue("syslog").in_one_file()
    syslog.start()
    receive(database, 1)

    assert exporting(settings, database)() == 0
    assert syslog.messages() == []


def test_nothing_is_sealed_before_it_was_sent(syslog: Syslog, settings: Settings, database: Database) -> None:
    """Rows leave the database only when the syslog server has them."""
    receive(database, 1, 2, 3)
    later = NOW + timedelta(days=3)
    receive(database, 4)

    assert seal_old(settings, database, now=later) == 0
    syslog.start()
    exporting(settings, database)()
    assert seal_old(settings, database, now=NOW + timedelta(days=1.5)) == 0  # not a day's worth yet
    assert seal_old(settings, database, now=later) == 4


def test_each_event_becomes_a_valid_message(syslog: Syslog, settings: Settings, database: Database) -> None:
    """Every message has the structure of PS3.15 A.5.1, the parts its table wants, and no patient."""
    syslog.start()
    for event in KINDS:
        receive(database, 1, event=event, detail={"destination": "pacs", "by": "admin", "reason": "x"})
    receive(database, 2, event="job.queued")  # no message
    exporting(settings, database)()

    messages = syslog.messages()
    assert len(messages) == len(KINDS)
    for message, kind in zip(messages, KINDS.values(), strict=True):
        check_structure(message)
        identification = message[0]
        assert identification.attrib["EventActionCode"] == kind.action
        assert identification.find("EventID").attrib["csd-code"] == kind.event[0]  # type: ignore[union-attr]


def check_structure(message: ET.Element) -> None:
    """Compare with the schema of PS3.15 A.5.1 as far as we use it."""
    assert message.tag == "AuditMessage"
    tags = [child.tag for child in message]
    order = [
        "EventIdentification",
        "ActiveParticipant",
        "AuditSourceIdentification",
        "ParticipantObjectIdentification",
    ]
    assert tags == sorted(tags, key=order.index)
    assert tags.count("EventIdentification") == tags.count("AuditSourceIdentification") == 1
    assert tags.count("ActiveParticipant") >= 1
    for each in message.iter():
        required, optional, children = SCHEMA[each.tag]
        assert required <= each.attrib.keys() <= required | optional, each.tag
        assert {child.tag for child in each} <= children
        if each.tag == "ParticipantObjectDetail":
            assert base64.b64decode(each.attrib["value"])
    roles = [
        each.attrib["ParticipantObjectTypeCode"] for each in message.iter("ParticipantObjectIdentification")
    ]
    assert "1" not in roles  # a person


PARTS = [
    "EventIdentification",
    "ActiveParticipant",
    "AuditSourceIdentification",
    "ParticipantObjectIdentification",
]
CODED = ({"csd-code", "codeSystemName", "originalText"}, set[str](), set[str]())
SCHEMA: dict[str, tuple[set[str], set[str], set[str]]] = {
    "AuditMessage": (
        set(),
        set(),
        {
            "EventIdentification",
            "ActiveParticipant",
            "AuditSourceIdentification",
            "ParticipantObjectIdentification",
        },
    ),
    "EventIdentification": (
        {"EventActionCode", "EventDateTime", "EventOutcomeIndicator"},
        set(),
        {"EventID", "EventTypeCode"},
    ),
    "EventID": CODED,
    "EventTypeCode": CODED,
    "RoleIDCode": CODED,
    "ParticipantObjectIDTypeCode": CODED,
    "ActiveParticipant": (
        {"UserID", "UserIsRequestor"},
        {"AlternativeUserID", "NetworkAccessPointID", "NetworkAccessPointTypeCode"},
        {"RoleIDCode"},
    ),
    "AuditSourceIdentification": ({"AuditSourceID"}, set(), set()),
    "ParticipantObjectIdentification": (
        {"ParticipantObjectID", "ParticipantObjectTypeCode"},
        {"ParticipantObjectTypeCodeRole"},
        {
            "ParticipantObjectIDTypeCode",
            "ParticipantObjectName",
            "ParticipantObjectDetail",
            "ParticipantObjectDescription",
        },
    ),
    "ParticipantObjectName": (set(), set(), set()),
    "ParticipantObjectDetail": ({"type", "value"}, set(), set()),
    "ParticipantObjectDescription": (set(), set(), {"SOPClass"}),
    "SOPClass": ({"NumberOfInstances"}, set(), {"Instance"}),
    "Instance": ({"UID"}, set(), set()),
}
