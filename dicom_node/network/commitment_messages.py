"""The messages of the Storage Commitment Push Model (PS3.4 Annex J), read and written as data sets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.errors import TooManyReferences, Unparsable
from dicom_node.network.header import PARSER_ERRORS
from store.files.uids import check_uid
from store.rows.commitment_reports import Reference

SOP_CLASS = UID("1.2.840.10008.1.20.1")
"""Storage Commitment Push Model."""
SOP_INSTANCE = UID("1.2.840.10008.1.20.1.1")
"""Its well-known SOP Instance (PS3.4 J.3.5)."""
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
"""No deflated one, so that no data set has to be inflated."""
ACTION_TYPE_REQUEST = 1
"""Request Storage Commitment (PS3.4 J.3.2.1)."""
EVENT_TYPE_SUCCESSFUL, EVENT_TYPE_FAILURES_EXIST = 1, 2
"""Storage Commitment Request Successful, … Complete - Failures Exist (PS3.4 J.3.3.1)."""
MAX_REFERENCES = 10_000

NO_UID = UID("0.0")
"""Replaces a UID in a request that pynetdicom would otherwise abort at or not answer."""


class FailureReason(IntEnum):
    """Failure Reason (PS3.3 C.14.1.1) as far as this node uses it; peers may send others."""

    NO_SUCH_INSTANCE = 0x0112
    CLASS_INSTANCE_CONFLICT = 0x0119
    CLASS_NOT_SUPPORTED = 0x0122
    DUPLICATE_TRANSACTION = 0x0131


@dataclass(frozen=True, kw_only=True)
class CommitmentAnswer:
    """The content of an N-EVENT-REPORT: the objects of one transaction, committed or not."""

    transaction_uid: str
    kept: Sequence[Reference]
    """Committed."""
    failed: Mapping[Reference, int]
    """Not committed, with the Failure Reason of each."""


def read_request(ds: Dataset) -> tuple[str, list[Reference]]:
    """Return Transaction UID and references of an N-ACTION request.

    Raises:
        Unparsable: the bytes are not a data set, or it has no reference.
        InvalidUID: one of the UIDs is invalid.
        TooManyReferences: more than `MAX_REFERENCES`.
    """
    with _parsing():
        transaction_uid = check_uid(str(ds.TransactionUID))
        references = [_reference(item) for item in _bounded(ds.ReferencedSOPSequence)]
    if not references:
        raise Unparsable("no references")
    return transaction_uid, references


def read_answer(ds: Dataset) -> CommitmentAnswer:
    """Return the content of an N-EVENT-REPORT request.

    Raises:
        Unparsable, InvalidUID, TooManyReferences: as `read_request` does.
    """
    with _parsing():
        kept = [_reference(item) for item in _bounded(ds.get("ReferencedSOPSequence") or [])]
        items = _bounded(ds.get("FailedSOPSequence") or [])
        failed = {_reference(item): int(item.FailureReason) for item in items}
        return CommitmentAnswer(transaction_uid=check_uid(str(ds.TransactionUID)), kept=kept, failed=failed)


def request_data_set(transaction_uid: str, references: Iterable[Reference]) -> Dataset:
    """Return the data set of an N-ACTION request."""
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.ReferencedSOPSequence = [_item(reference) for reference in references]
    return ds


def answer_data_set(answer: CommitmentAnswer) -> tuple[int, Dataset]:
    """Return Event Type ID and data set of an N-EVENT-REPORT request."""
    ds = Dataset()
    ds.TransactionUID = answer.transaction_uid
    if answer.kept:
        ds.ReferencedSOPSequence = [_item(reference) for reference in answer.kept]
    if not answer.failed:
        return EVENT_TYPE_SUCCESSFUL, ds
    ds.FailedSOPSequence = [_item(reference) for reference in answer.failed]
    for item, reason in zip(ds.FailedSOPSequence, answer.failed.values(), strict=True):
        item.FailureReason = reason
    return EVENT_TYPE_FAILURES_EXIST, ds


def answer_for(
    transaction_uid: str, references: Iterable[Reference], stored: Mapping[str, str]
) -> CommitmentAnswer:
    """Return the answer to a request for `references`.

    `stored` has the SOP Class UID of each stored SOP Instance UID.
    """
    kept, failed = [], {}
    for sop_class, instance in references:
        if stored.get(instance) == sop_class:
            kept.append((sop_class, instance))
        elif instance in stored:
            failed[sop_class, instance] = FailureReason.CLASS_INSTANCE_CONFLICT
        else:
            failed[sop_class, instance] = FailureReason.NO_SUCH_INSTANCE
    return CommitmentAnswer(transaction_uid=transaction_uid, kept=kept, failed=failed)


@contextmanager
def _parsing() -> Iterator[None]:
    try:
        yield
    except PARSER_ERRORS as error:
        raise Unparsable(type(error).__name__) from error


def _bounded(items: Sequence[Dataset]) -> Sequence[Dataset]:
    if len(items) > MAX_REFERENCES:
        raise TooManyReferences
    return items


def _reference(item: Dataset) -> Reference:
    return check_uid(str(item.ReferencedSOPClassUID)), check_uid(str(item.ReferencedSOPInstanceUID))


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference
    return item
