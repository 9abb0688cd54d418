"""A scanner that asks for storage commitment of what it sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydicom import Dataset
from pydicom.uid import UltrasoundImageStorage
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association

from dicom_node.network import commitment_messages
from dicom_node.settings.sections import PeerSettings
from support.sender import association


class Scanner:
    """Stores, asks for commitment, and listens for reports on a port of its own."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, Dataset, bool]] = []
        """Event type, data set, and whether it came on the scanner's own association."""
        self.status = 0x0000
        ae = AE("SCANNER")
        ae.add_supported_context(commitment_messages.SOP_CLASS, scu_role=False, scp_role=True)
        self._server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=self._handlers(own=False))
        self.port: int = self._server.socket.getsockname()[1]
        self.peer = PeerSettings(ae_title="SCANNER", host="127.0.0.1", port=self.port)

    @contextmanager
    def association(self, port: int) -> Iterator[Association]:
        """Associate with the node at `port`."""
        contexts = [build_context(commitment_messages.SOP_CLASS), build_context(UltrasoundImageStorage)]
        with association(port, *contexts, evt_handlers=self._handlers(own=True)) as opened:
            yield opened

    def ask(self, opened: Association, request: Dataset, *, action: int = 1, **uids: str) -> int | None:
        """Send a request; return the status of the response."""
        instance = uids.get("instance", commitment_messages.SOP_INSTANCE)
        sop_class = uids.get("sop_class", commitment_messages.SOP_CLASS)
        answer, _ = opened.send_n_action(
            request, action, sop_class, instance, meta_uid=commitment_messages.SOP_CLASS
        )
        status: int | None = answer.get("Status")
        return status

    def close(self) -> None:
        """Stop listening."""
        self._server.ae.shutdown()

    def _handlers(self, *, own: bool) -> list[Any]:
        def on_report(event: Any) -> tuple[int, None]:
            self.reports.append((event.event_type, event.event_information, own))
            return self.status, None

        return [(evt.EVT_N_EVENT_REPORT, on_report)]


def question(*images: Dataset, transaction_uid: str = "1.2.3") -> Dataset:
    """Return a request for commitment of images."""
    references = [(each.SOPClassUID, each.SOPInstanceUID) for each in images]
    return commitment_messages.request_data_set(transaction_uid, references)
