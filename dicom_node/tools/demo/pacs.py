"""The PACS of the demo: accepts all storage classes and writes what it receives into a folder."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydicom.dataset import FileDataset
from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.sop_class import Verification


class LoopbackPacs:
    """A storage SCP on a free port of the loopback address while the block runs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self.received: dict[Path, FileDataset] = {}
        """The received data sets by file, in order of arrival."""
        ae = AE("DEMOPACS")
        ae.supported_contexts = AllStoragePresentationContexts
        ae.add_supported_context(Verification)
        self._server = ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._keep)]
        )
        self.port: int = self._server.socket.getsockname()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.ae.shutdown()

    def _keep(self, event: Any) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        path = self._folder / f"{dataset.Modality}_{len(self.received) + 1}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        self.received[path] = dataset
        return 0x0000
