"""Patients of many scripts in a real PACS: stored, found by name, fetched, unchanged."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind
from support.orthanc import Orthanc, running_orthanc
from support.report_files import strip, written
from support.reported import source as still

from dicom_node.network.outcomes import Accepted
from dicom_node.network.scu import Outgoing, send_objects

PATIENTS: list[tuple[Any, str, str]] = [
    ("GB18030", "Zhang^San=张^三", "张"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "山田"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", "홍"),
    ("ISO_IR 100", "Müller^Jörg", "Müller"),
    ("ISO_IR 144", "Петров^Иван", "Петров"),
    ("ISO_IR 126", "Παπαδόπουλος^Νίκος", "Παπαδόπουλος"),
]


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """Return a real PACS."""
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as made:
        yield made


@pytest.mark.parametrize(("charset", "name", "part"), PATIENTS, ids=[name for _, name, _ in PATIENTS])
def test_a_name_goes_to_the_pacs_and_is_found_there(
    charset: Any, name: str, part: str, tmp_path: Path, orthanc: Orthanc
) -> None:
    """All kinds of objects are taken; C-FIND by a part of the name finds the study; nothing has changed."""
    source = still(
        SpecificCharacterSet=charset,
        PatientName=name,
        PatientID=part.encode().hex(),
        StudyInstanceUID=generate_uid(entropy_srcs=[part]),
    )
    sent = written(tmp_path, source, strip())[1:]
    outcomes = list(
        send_objects(orthanc.destination, [Outgoing(path=path) for path in sent], calling_ae="ECHONODE")
    )

    assert outcomes == [Accepted(status=0)] * len(sent)
    assert source.StudyInstanceUID in found(orthanc, f"*{part}*")
    fetched = {ds.SOPInstanceUID: ds for ds in (dcmread(BytesIO(each)) for each in orthanc.files())}
    for path in sent:
        mine = dcmread(path)
        assert fetched[mine.SOPInstanceUID] == mine
        assert str(fetched[mine.SOPInstanceUID].PatientName) == name


def found(orthanc: Orthanc, name: str) -> set[str]:
    """Return the studies that a C-FIND by patient name in UTF-8 finds."""
    query = Dataset()
    query.SpecificCharacterSet, query.QueryRetrieveLevel = "ISO_IR 192", "STUDY"
    query.PatientName, query.StudyInstanceUID = name, ""
    ae = AE("ECHONODE")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    peer = orthanc.destination
    association = ae.associate(peer.host, peer.port, ae_title=peer.ae_title)
    try:
        answers = association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind)
        return {str(each.StudyInstanceUID) for _, each in answers if each is not None}
    finally:
        association.release()
