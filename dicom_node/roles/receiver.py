"""Composition root of a receiver process: everything between the port and the store, and no networks."""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from ssl import SSLContext
from typing import Any

import structlog
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from dicom_node import __version__
from dicom_node.commitment.scp import CommitmentSCP
from dicom_node.errors import CannotListen, NodeError
from dicom_node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from dicom_node.network.tls import server_context
from dicom_node.process.locks import node_runs
from dicom_node.process.logs import quiet_libraries
from dicom_node.process.stop_signal import StopSignal
from dicom_node.receive.admission import AssociationAdmission
from dicom_node.receive.ingest import Ingest
from dicom_node.receive.quota import Quota
from dicom_node.receive.recovery import recover
from dicom_node.receive.rejection_log import RejectionLog
from dicom_node.receive.server import AssociationServer
from dicom_node.receive.storage_scp import CONFLICT_STATUS, StorageSCP
from dicom_node.receive.upper_layer import UpperLayerLimits
from dicom_node.roles.schedule import receiver_scheduler
from dicom_node.roles.start import open_runtime
from dicom_node.runtime import Runtime
from dicom_node.settings import Settings
from dicom_node.settings.sections import NodeSettings
from dicom_node.storage.disk import DiskWatch
from store.db.database import START_CHECK_S
from store.errors import StoreError

ACCEPT_POLL_S = 0.05
DRAIN_POLL_S = 0.02
REQUEST_TIMEOUT_S = 10.0
"""Who connects has this long to ask for an association, or less with a shorter `acse_timeout_s`."""

ABORT_GRACE_S = 2.0
"""How long an aborted association may take to disappear."""

log = structlog.get_logger(__name__)


class Receiver:
    """The DICOM side of one process: `start`, then `stop`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._settings = settings = runtime.settings
        self._database, self._files, self._recorder = runtime.database, runtime.files, runtime.recorder
        self._rejection_log = RejectionLog(runtime.recorder, runtime.steady_s)
        self._ingest = Ingest(runtime.database, runtime.files, runtime.clock)
        disk = DiskWatch(runtime.files, settings.disk, runtime.recorder)
        self._scp = StorageSCP(
            admission=AssociationAdmission(settings, rejection_log=self._rejection_log, disk=disk),
            ingest=self._ingest,
            recorder=runtime.recorder,
            conflict_status=CONFLICT_STATUS[settings.node.conflict_status],
            more_handlers=CommitmentSCP(runtime).handlers,
        )
        self._scheduler = receiver_scheduler(runtime, self._rejection_log, disk)
        self._servers: list[AssociationServer] = []

    def start(self, *, check_database: bool = True) -> int:
        """Recover what a crash left behind, listen, and return the port.

        Args:
            check_database: look for damage first; not needed when the supervisor has.

        Raises:
            CannotListen: a port is taken, or not ours to take.
            SettingsError: certificate, private key or CA cannot be used.
            StoreUnavailable: disk or database trouble, a damaged database among it.
        """
        quiet_libraries()
        self._database.upgrade()
        if check_database:
            self._database.check(limit_s=START_CHECK_S)
        recover(self._runtime, self._ingest)
        self._listen()
        self._scheduler.start()
        for server in self._servers:
            threading.Thread(
                target=server.serve_forever, args=(ACCEPT_POLL_S,), name="accept", daemon=True
            ).start()
        port, *tls = (int(server.server_address[1]) for server in self._servers)
        detail = {"role": "receiver", "port": port, "version": __version__} | (
            {"tls_port": tls[0]} if tls else {}
        )
        self._recorder.record("node.started", detail=detail)
        return port

    def stop(self) -> None:
        """Close the ports, let associations end by themselves for a while, abort the rest."""
        if self._servers:
            for server in self._servers:
                server.stop_listening()
            self._drain()
            for server in self._servers:
                server.close_connections()
            self._scheduler.shutdown()
            self._rejection_log.flush_due(everything=True)
            self._recorder.record("node.stopped", detail={"role": "receiver"})
            self._recorder.close()
        self._database.close()

    def _listen(self) -> None:
        node, tls = self._settings.node, self._settings.tls
        entity = AE(ae_title=node.ae_title)
        entity.maximum_pdu_size = node.max_pdu
        entity.dimse_timeout = node.dimse_timeout_s
        entity.network_timeout = node.network_timeout_s
        entity.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        # The storage contexts are made for each proposal, see storage_classes.
        entity.add_supported_context(Verification)
        ports: list[tuple[int, SSLContext | None]] = [(node.port, None)]
        if tls.port:
            ports.append((tls.port, server_context(tls)))
        connections = Quota(node.max_connections_per_host)
        try:
            for port, context in ports:
                self._servers.append(self._open_port(entity, port, connections, context))
        except CannotListen:
            for server in self._servers:
                server.server_close()
            raise

    def _open_port(
        self, entity: AE, port: int, connections: Quota, tls: SSLContext | None
    ) -> AssociationServer:
        node = self._settings.node
        try:
            server: AssociationServer = entity.make_server(
                (node.host, port),
                server_class=AssociationServer,
                evt_handlers=self._scp.handlers,
                incoming=self._files.incoming,
                require_room=self._files.require_room,
                share_port=node.receivers > 1,
                limits=_limits(node),
                connections=connections,
                tls=tls,
                on_end=self._scp.on_end,
                on_refused=self._rejection_log.note,
            )
        except OSError as error:
            raise CannotListen(f"{node.host}:{port}: {error.strerror or error}") from error
        return server

    def _drain(self) -> None:
        if _wait_for(lambda: not self._scp.open_associations, self._settings.node.drain_seconds):
            return
        _wait_for(lambda: not self._scp.is_storing, self._settings.node.dimse_timeout_s)
        for association in self._scp.open_associations:
            association.abort(block=False)
        _wait_for(lambda: not self._scp.open_associations, ABORT_GRACE_S)


def _limits(node: NodeSettings) -> UpperLayerLimits:
    return UpperLayerLimits(
        max_pdu_bytes=node.max_pdu,
        pdu_timeout_s=node.pdu_timeout_s,
        request_timeout_s=min(node.acse_timeout_s, REQUEST_TIMEOUT_S),
        max_object_bytes=node.max_object_mb * 1_000_000,
    )


def run_receiver(
    settings: Settings, *, ready: Callable[[int], Any] | None = None, watch_stdin: bool = False
) -> int:
    """Receive until told to stop; returns the exit code.

    Args:
        settings: the node's.
        ready: called with the port once it listens.
        watch_stdin: stop too when standard input ends, that is, when the parent is gone.
    """
    with StopSignal(watch_stdin=watch_stdin) as stop, ExitStack() as resources:
        try:
            resources.enter_context(node_runs(settings.node.data_dir))
            receiver = Receiver(open_runtime(settings, stop.requested))
            port = receiver.start(check_database=not watch_stdin)
        except (NodeError, StoreError) as error:
            log.error("cannot start", error=str(error))  # noqa: TRY400 - expected, and said in one line
            return 1
        log.info("listening", ae_title=settings.node.ae_title, host=settings.node.host, port=port)
        if ready is not None:
            ready(port)
        stop.wait()
        log.info("stopping", associations_get_s=settings.node.drain_seconds)
        receiver.stop()
    return 0


def _wait_for(condition: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(DRAIN_POLL_S)
    return True
