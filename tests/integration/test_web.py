"""Health and metrics: what they say, who may ask, and that nobody can hold them up."""

import base64
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert
from support.databases import upgraded
from support.node import runtime, wait_for
from support.raw_rows import without_triggers

from dicom_node.monitoring.web import server
from dicom_node.monitoring.web.password import Password, PasswordUnusable
from dicom_node.roles.web import WebService
from dicom_node.roles.worker import only_worker
from dicom_node.settings import Settings
from store.db.database import Database
from store.db.schema import delivery_table, job_table, result_table, study_table

EVERYWHERE = "0.0.0.0"  # noqa: S104 - what is tested


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Return an upgraded database."""
    made = upgraded(f"sqlite:///{tmp_path}/echonode.db")
    yield made
    made.close()


@contextmanager
def web(database: Database, *, port: int = 0, node_port: int = 0, **options: Any) -> Iterator[WebService]:
    """Run the web port over a database, on the folder that it lies in."""
    settings = Settings(
        node={"data_dir": database.path.parent, "port": node_port},  # type: ignore[arg-type]  # parsed by pydantic
        web={"port": port, **options},  # type: ignore[arg-type]  # as above
    )
    troubles: list[str] = []
    with WebService(runtime(settings=settings, database=database), on_trouble=troubles.append) as service:
        wait_for(lambda: service.listening.is_set() or troubles, "the web port is open or cannot be")
        service.troubles = troubles  # type: ignore[attr-defined]  # for the test alone
        yield service


def get(port: int, path: str, *, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    """Return status and body of a request."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - http
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def samples(port: int) -> dict[tuple[str, ...], float]:
    """Return the metrics: value by name and label values (of `state`, then `what`)."""
    status, body = get(port, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(body.decode())
    return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}


def test_health(database: Database) -> None:
    """200 when all is well, 503 with the thing that is not: worker, receiver, database, each in a word."""
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        port = receiver.getsockname()[1]
        with web(database, node_port=port) as service:
            with only_worker(database.path.parent):
                status, body = get(service.port, "/healthz")
                assert (status, json.loads(body)["status"]) == (200, "ok")
            status, body = get(service.port, "/healthz")
            assert (status, json.loads(body)["checks"]["worker"]) == (503, "not running")
            receiver.close()
            assert json.loads(get(service.port, "/healthz")[1])["checks"]["receiver"] == "not listening"
            database.path.rename(database.path.with_name("away"))
            status, body = get(service.port, "/healthz")
            assert (status, json.loads(body)["checks"]["database"]) == (503, "not available")


def test_metrics(database: Database) -> None:
    """Ages of the oldest that wait, numbers by state, room and rows; neither UID nor name."""
    with database.transaction() as session, without_triggers(session.connection().exec_driver_sql):
        for number, state in enumerate(("RECEIVING", "DONE"), start=1):
            study = {"study_uid": f"1.2.{number}", "state": state, "revision": 1}
            session.execute(
                insert(study_table).values(**study),
                {"first_received_at": _ago(60), "last_received_at": _ago(1)},
            )
        job = {"study_uid": "1.2.2", "revision": 1, "state": "RUNNING", "attempts": 1}
        session.execute(insert(job_table).values(**job), {"created_at": _ago(120), "not_before": _ago(120)})
        result = {
            "kind": "overlay",
            "study_uid": "1.2.2",
            "revision": 1,
            "source_sop_instance_uid": "1.2.2.1",
        }
        result |= {"sop_instance_uid": "1.2.2.9", "sop_class_uid": "1.2", "path": "p", "sha256": "x"}
        session.execute(insert(result_table).values(id=1, **result), {"created_at": _ago(300)})
        for destination, state, age_s in (("a", "PENDING", 300), ("b", "DEAD", 900), ("c", "SENT", 600)):
            delivery = {"result_id": 1, "destination": destination, "state": state, "attempts": 1, "asks": 0}
            times = {"next_attempt_at": _ago(0), "waiting_since": _ago(age_s)}
            session.execute(insert(delivery_table).values(**delivery), times)
    with web(database) as service:
        found = samples(service.port)

    ages_s = {"study": 60, "job": 120, "delivery": 300, "commitment": 600, "commitment_report": 0}
    for what, age_s in ages_s.items():
        assert found["echonode_oldest_waiting_seconds", what] == pytest.approx(age_s, abs=20)
    assert found["echonode_rows", "DONE", "study"] == 1
    assert found["echonode_rows", "DEAD", "delivery"] == 1
    assert found["echonode_rows", "DEAD", "job"] == 0
    assert found["echonode_disk_free_bytes",] > 0
    assert found["echonode_disk_threshold_bytes", "soft"] == 2048 * 2**20
    assert found["echonode_audit_rows_total",] == 0
    assert not any("1.2.2" in label for key in found for label in key)


def _ago(seconds: float) -> Any:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def test_metrics_without_a_database(database: Database) -> None:
    """While the database is away the rest is still told."""
    with web(database) as service:
        database.path.rename(database.path.with_name("away"))
        found = samples(service.port)

    assert ("echonode_disk_free_bytes",) in found
    assert not any(key[0] == "echonode_rows" for key in found)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/metrics", 405), ("HEAD", "/healthz", 405), ("DELETE", "/", 405), ("GET", "/", 404)]
    + [
        ("GET", path, 404)
        for path in ("/healthz/", "/metrics/../etc/passwd", "/%2e%2e/etc/passwd", "/METRICS")
    ],
)
def test_everything_else_is_denied(database: Database, method: str, path: str, status: int) -> None:
    """Two pages, one method."""
    with web(database) as service:
        assert get(service.port, path, method=method)[0] == status


def test_open_to_the_network_asks_for_the_password(database: Database, tmp_path: Path) -> None:
    """Any wrong or missing password is 401, also for pages that do not exist; the right one gets in."""
    secret = tmp_path / "password"
    secret.write_text("s3cret:with colon\nsecond line\n")
    secret.chmod(0o640)
    with web(database, host=EVERYWHERE, user="prometheus", password_file=str(secret)) as service:
        right = base64.b64encode(b"prometheus:s3cret:with colon").decode()
        wrong = base64.b64encode(b"prometheus:s3cret").decode()
        for header in ("", "Basic", "Basic !", f"Basic {wrong}", f"Bearer {right}", "Basic \xfc"):
            assert get(service.port, "/metrics", Authorization=header)[0] == 401
            assert get(service.port, "/nothing", method="POST", Authorization=header)[0] == 401
        assert get(service.port, "/metrics")[0] == 401
        assert get(service.port, "/metrics", Authorization=f"Basic {right}")[0] == 200


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [("x\n", 0o644, "0644"), ("x\n", 0o620, "0620"), ("\nx\n", 0o600, "empty"), (None, 0, "No such file")],
)
def test_a_password_file_that_will_not_do(
    database: Database, tmp_path: Path, content: str | None, mode: int, says: str
) -> None:
    """A file that others may read, or without a password, opens no port, and says why in a sentence."""
    path = tmp_path / "password"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    settings = Settings(web={"host": EVERYWHERE, "user": "u", "password_file": str(path)})  # type: ignore[arg-type]
    with pytest.raises(PasswordUnusable, match=says):
        Password.of(settings.web)
    with web(database, host=EVERYWHERE, user="u", password_file=str(path)) as service:
        assert not service.listening.is_set()


def test_a_busy_port_is_tried_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trouble is told once; the port is opened as soon as it is free."""
    monkeypatch.setattr("dicom_node.roles.web.RETRY_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with web(database, port=port) as service:
            assert not service.listening.wait(0.3)
            assert len(service.troubles) == 1  # type: ignore[attr-defined]
            other.close()
            wait_for(service.listening.is_set, "the port is open")
            assert get(port, "/metrics")[0] == 200


def test_slow_clients_do_not_hold_it_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred connections that drip are cut off, others are answered meanwhile, no thread stays."""
    monkeypatch.setattr(server, "CONNECTION_LIMIT_S", 3.0)
    before = _threads()
    with web(database) as service, ExitStack() as open_sockets:
        slow = [
            open_sockets.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            for _ in range(100)
        ]
        for each in slow:
            _drip(each)
        started = time.monotonic()
        assert get(service.port, "/metrics")[0] == 200
        assert time.monotonic() - started < 3
        assert _threads() <= before + 2 + server.MAX_CONNECTIONS + 5
        wait_for(lambda: not any(_drip(each) for each in slow), "all are cut off", limit_s=10)
    wait_for(lambda: _threads() <= before, "all threads have ended")


def _drip(connection: socket.socket) -> bool:
    """Send one more byte of a header; False when the connection was cut off."""
    try:
        connection.send(b"G")
        connection.setblocking(False)
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))
