"""A PACS on a free port of this machine that counts what it gets and misbehaves on demand."""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self

from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from dicom_node.settings.sections import Destination

Answer = Callable[[Any], int]


def success(event: Any) -> int:  # noqa: ARG001 - the signature of an answer
    """Accept whatever comes."""
    return 0x0000


class Pacs:
    """Accepts SR and Secondary Capture and remembers each object in the order it came.

    `answer` is asked for the status of each C-STORE and may be exchanged at any time. With
    `commitment` it takes storage commitment requests: `request_status` answers them, and it reports
    at once on the same association (`reports_at_once`), or when the test says so (`report`).
    """

    def __init__(
        self,
        *,
        name: str = "pacs",
        port: int = 0,
        answer: Answer = success,
        sop_classes: Sequence[str] = (ComprehensiveSRStorage, SecondaryCaptureImageStorage),
        commitment: bool = False,
        ssl_context: SSLContext | None = None,
    ) -> None:
        self.name = name
        self.answer = answer
        self.received: list[tuple[str, str]] = []
        """(SOP Instance UID, sha256 of the data set) of every object answered with success."""
        self.associations = 0
        self.proposed: list[set[tuple[str, str]]] = []
        """Per association, the (SOP class, transfer syntax) pairs that were proposed."""
        self.commitment = commitment
        self.requests: list[Dataset] = []
        """The data set of every storage commitment request taken."""
        self.request_status = 0x0000
        self.reports_at_once = False
        self._lock = threading.Lock()
        self.ae = ae = AE("PACS")
        if commitment:
            ae.add_supported_context(StorageCommitmentPushModel)
        for sop_class in (*sop_classes, "1.2.840.10008.1.1"):
            ae.add_supported_context(sop_class, ExplicitVRLittleEndian)
        handlers = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_N_ACTION, self._on_commitment_request),
        ]
        self._server = ae.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=handlers, ssl_context=ssl_context
        )
        self.port: int = self._server.socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.ae.shutdown()

    @property
    def destination(self) -> Destination:
        """The settings' entry that leads here."""
        return Destination(
            name=self.name,
            ae_title="PACS",
            host="127.0.0.1",
            port=self.port,
            timeout_s=5,
            commitment=self.commitment,
        )

    @property
    def uids(self) -> list[str]:
        """SOP Instance UIDs in the order they came."""
        return [uid for uid, _ in self.received]

    def contradictions(self) -> dict[str, int]:
        """UIDs that came with more than one content: what a PACS would hold as a duplicate."""
        contents = Counter(uid for uid, _ in set(self.received))
        return {uid: number for uid, number in contents.items() if number > 1}

    def report(
        self,
        port: int,
        request: Dataset,
        *,
        failed: Mapping[str, int] | None = None,
        ae_title: str = "PACS",
        roles: bool = True,
    ) -> int | None:
        """Report on an association of its own to the receiver at `port`; return the status it answers."""
        ae = AE(ae_title)
        offered = [build_role(StorageCommitmentPushModel, scp_role=True)] if roles else []
        context = build_context(StorageCommitmentPushModel)
        opened = ae.associate("127.0.0.1", port, [context], ae_title="ECHONODE", ext_neg=offered)
        assert opened.is_established
        try:
            status: int | None = _send_report(opened, request, failed or {})
        finally:
            connection = opened.dul.socket and opened.dul.socket.socket
            opened.release()
            if connection:
                connection.close()
        return status

    def _on_commitment_request(self, event: Any) -> tuple[int, None]:
        request = event.action_information
        with self._lock:
            self.requests.append(request)
        if self.reports_at_once:
            threading.Thread(target=_report_if_there, args=(event.assoc, request)).start()
        return self.request_status, None

    def _on_requested(self, event: Any) -> None:
        contexts = event.assoc.requestor.primitive.presentation_context_definition_list
        with self._lock:
            self.associations += 1
            self.proposed.append(
                {(str(each.abstract_syntax), str(ts)) for each in contexts for ts in each.transfer_syntax}
            )

    def _on_store(self, event: Any) -> int:
        digest = hashlib.sha256(event.request.DataSet.getvalue()).hexdigest()
        status = self.answer(event)
        if status == 0x0000:
            with self._lock:
                self.received.append((str(event.request.AffectedSOPInstanceUID), digest))
        return status


def _report_if_there(opened: Any, request: Dataset) -> None:
    try:
        _send_report(opened, request, {})
    except RuntimeError:
        return  # whoever asked has gone, and will ask again


def _send_report(opened: Any, request: Dataset, failed: Mapping[str, int]) -> int | None:
    """Say of all objects of a request that they are kept, but for those that `failed` gives a reason for."""
    report = Dataset()
    report.TransactionUID = request.TransactionUID
    items = request.ReferencedSOPSequence
    report.ReferencedSOPSequence = [each for each in items if each.ReferencedSOPInstanceUID not in failed]
    if failed:
        lost = [deepcopy(each) for each in items if each.ReferencedSOPInstanceUID in failed]
        for each in lost:
            each.FailureReason = failed[each.ReferencedSOPInstanceUID]
        report.FailedSOPSequence = lost
    answer, _ = opened.send_n_event_report(
        report, 2 if failed else 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    status: int | None = answer.get("Status")
    return status
