"""The conformance statement says what the program does."""

from pathlib import Path
from typing import get_args

import pytest
from pydicom.uid import (
    ColorSoftcopyPresentationStateStorage,
    EnhancedUSVolumeStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom.sop_class import Verification

from dicom_node.commitment import scp
from dicom_node.commitment.answers import PERMANENT
from dicom_node.delivery.outbox import is_permanent
from dicom_node.identity import CODING_SCHEME_UID, IMPLEMENTATION_CLASS_UID
from dicom_node.network import association_pdus, commitment_messages
from dicom_node.network.outcomes import Accepted, Refused, outcome_of_status
from dicom_node.network.presentation_contexts import TRANSFER_SYNTAXES, ULTRASOUND_CLASSES
from dicom_node.network.upper_layer import MAX_REQUEST_BYTES
from dicom_node.receive import access, upper_layer
from dicom_node.receive.dimse import MAX_COMMAND_BYTES
from dicom_node.receive.storage_scp import CONFLICT_STATUS, PROCESSING_FAILURE, STATUS_OF
from dicom_node.report.presentation import SERIES_NUMBER as GRAPHICS_SERIES
from dicom_node.report.quantities import LV_MASS_INDEX, QUANTITIES
from dicom_node.report.refusals import REFUSALS
from dicom_node.report.secondary_capture import SERIES_NUMBER as OVERLAY_SERIES
from dicom_node.report.sr import DOCUMENTS
from dicom_node.roles.receiver import REQUEST_TIMEOUT_S
from dicom_node.settings.fields import SRTemplate
from dicom_node.settings.sections import NodeSettings
from inference.image import regions
from inference.image.decoders import CHARLS, DECODERS, LIBJPEG_TURBO, OPENJPEG, PYDICOM

STATEMENT = (Path(__file__).parents[2] / "deploy" / "conformance.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    below = STATEMENT.split(f"{heading}\n", maxsplit=1)[1].splitlines()
    start = next(number for number, line in enumerate(below) if line.startswith("|"))
    table = []
    for line in below[start:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return [[cell.strip("| ") for cell in row] for row in table[2:]]


def test_received_classes_and_syntaxes() -> None:
    """What is measured, and in which transfer syntaxes objects may come."""
    assert {row[1] for row in rows("### Measured SOP classes")} == ULTRASOUND_CLASSES
    assert regions.ULTRASOUND_CLASSES == ULTRASOUND_CLASSES
    assert f"Enhanced US Volume Storage ({EnhancedUSVolumeStorage}) is kept" in STATEMENT
    assert EnhancedUSVolumeStorage not in ULTRASOUND_CLASSES
    assert [row[1] for row in rows("### Accepted transfer syntaxes")] == list(TRANSFER_SYNTAXES)


def test_decoders() -> None:
    """Each compressed syntax that is decoded, in the order of the code, with the plugin that does it."""
    named = {"libjpeg-turbo (imagecodecs)": LIBJPEG_TURBO, "CharLS (pyjpegls)": CHARLS}
    named |= {"OpenJPEG (pylibjpeg)": OPENJPEG, "pydicom": PYDICOM}

    assert [(row[1], named[row[2]]) for row in rows("### Decoders")] == list(DECODERS.items())


def test_sent_classes() -> None:
    """Every class that the node makes or asks for, and no other; each template under its name."""
    sent = {row[1]: row[2] for row in rows("### SOP classes sent")}
    pictures = {
        SecondaryCaptureImageStorage,
        GrayscaleSoftcopyPresentationStateStorage,
        ColorSoftcopyPresentationStateStorage,
    }

    others = {Verification, commitment_messages.SOP_CLASS}
    assert set(sent) == {each.sop_class for each in DOCUMENTS.values()} | pictures | others
    assert set(DOCUMENTS) == set(get_args(SRTemplate))
    for template, document in DOCUMENTS.items():
        assert f"`{template}`" in sent[document.sop_class]


def test_answers_as_scp() -> None:
    """Each status that a C-STORE may get."""
    said = {int(row[0], 16) for row in rows("### C-STORE status as SCP")}

    assert said == {*CONFLICT_STATUS.values(), PROCESSING_FAILURE, *STATUS_OF.values()}


def test_answers_to_storage_commitment() -> None:
    """Each status that an N-ACTION or N-EVENT-REPORT may get, and how many references are taken."""
    said = {int(row[0], 16) for row in rows("### N-ACTION and N-EVENT-REPORT status as SCP")}
    misaddressed = {scp.NO_SUCH_INSTANCE}
    unknown = {scp.NO_SUCH_EVENT_TYPE, scp.NO_SUCH_ACTION}
    unknown |= {scp.UNKNOWN_TRANSACTION}

    assert said == {scp.SUCCESS, *misaddressed, *unknown, *scp.STATUS_OF.values()}
    assert f"up to {commitment_messages.MAX_REFERENCES:,} references" in STATEMENT


def test_what_failure_reasons_lead_to() -> None:
    """Parked at once, asked again or sent again, as the table says."""
    said = {int(row[0], 16): row[1] for row in rows("### Storage Commitment SCU")}

    assert {reason for reason, words in said.items() if words.startswith("parked")} == PERMANENT
    assert [reason for reason, words in said.items() if words.startswith("asks")] == [
        commitment_messages.FailureReason.DUPLICATE_TRANSACTION
    ]


@pytest.mark.parametrize("row", rows("### C-STORE status as SCU"), ids=lambda row: row[0])
def test_what_answers_lead_to(row: list[str]) -> None:
    """Delivered, parked at once or tried again, as the table says."""
    outcome = outcome_of_status(int(row[0], 16))
    if row[1].startswith("delivered"):
        assert isinstance(outcome, Accepted)
    else:
        assert isinstance(outcome, Refused)
        assert is_permanent(outcome) is row[1].startswith("parked")


def test_rejections() -> None:
    """Each reason to reject an association stands under its result, source and diagnostic."""
    said = {
        (int(row[0][0]), int(row[1][0]), int(row[2], 16)): row[3]
        for row in rows("### Rejections (A-ASSOCIATE-RJ)")
    }
    known = [each for each in vars(access).values() if isinstance(each, access.Rejection)]

    assert set(said) == {(each.result, each.source, each.diagnostic) for each in known}
    for each in known:
        assert each.reason in said[each.result, each.source, each.diagnostic]


def test_limits_of_the_upper_layer() -> None:
    """The figures of what a connection may cost."""
    said = STATEMENT.split("## 3.")[1].split("## 4.")[0]
    node = NodeSettings()
    for figure in (
        f"an A-ASSOCIATE-RQ up to {MAX_REQUEST_BYTES}",
        f"or {association_pdus.MIN_PEER_MAXIMUM} and more",
        f"up to {upper_layer.MAX_REQUESTS_WAITING} are read ahead",
        f"more than {MAX_COMMAND_BYTES} bytes",
        f"`node.max_object_mb` ({node.max_object_mb})",
        f"`node.pdu_timeout_s` ({node.pdu_timeout_s:g})",
        f"`node.max_connections_per_host` ({node.max_connections_per_host})",
        f"`node.max_associations_per_peer` ({node.max_associations_per_peer})",
        f"at most {REQUEST_TIMEOUT_S:g} seconds",
    ):
        assert figure in said


def test_content_of_the_reports() -> None:
    """Label, concept, unit, precision and method of every number."""
    expected = [
        [
            each.label,
            f'({each.concept.value}, {each.concept.scheme_designator}, "{each.concept.meaning}")',
            each.unit.value,
            str(each.decimals),
            f"{each.method.meaning} ({each.method.value}, DCM)" if each.method else "-",
        ]
        for each in (*QUANTITIES, LV_MASS_INDEX)
    ]

    assert rows("### Content of the reports") == expected


def test_identities() -> None:
    """UIDs and series numbers that administrators filter by."""
    numbers = [each.series_number for each in DOCUMENTS.values()]
    numbers += [OVERLAY_SERIES, GRAPHICS_SERIES]

    assert IMPLEMENTATION_CLASS_UID in STATEMENT
    assert CODING_SCHEME_UID in STATEMENT
    assert all(str(number) in STATEMENT for number in numbers)
    assert all(each.code.value in STATEMENT for each in REFUSALS.values())
