"""What the messages of storage commitment say (PS3.4 Annex J): data sets to values and back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.errors import TooManyReferences, Unparsable
from dicom_node.network.header import PARSER_ERRORS
from store.files.file_store import check_uid
from store.rows.commitments import Reference

SOP_CLASS = UID("1.2.840.10008.1.20.1")
"""Storage Commitment Push Model."""
SOP_INSTANCE = UID("1.2.840.10008.1.20.1.1")
"""Its one, well-known instance."""
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
"""No deflated one: nothing here needs it, and nothing has to be inflated."""
REQUEST = 1
"""The action type of a request."""
ALL_KEPT, SOME_FAILED = 1, 2
"""The event types of an answer."""
MAX_REFERENCES = 10_000

NO_UID = UID("0.0")
"""Stands in for a UID with which pynetdicom would abort or stay silent."""

# Failure Reason (PS3.3 C.14.1.1).
NO_SUCH_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
CLASS_NOT_SUPPORTED = 0x0122
DUPLICATE_TRANSACTION = 0x0131


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is kept and what is not, of the objects that one transaction asked for."""

    transaction_uid: str
    kept: Sequence[Reference]
    failed: Mapping[Reference, int]
    """Failure reason of each."""


def read_request(ds: Dataset) -> tuple[str, list[Reference]]:
    """Return transaction UID and references of an N-ACTION request.

    Raises:
        Unparsable: the bytes are no data set, or there is no reference in it.
        InvalidUID: one of the UIDs is none.
        TooManyReferences: more than `MAX_REFERENCES`.
    """
    with _parsing():
        transaction_uid = check_uid(str(ds.TransactionUID))
        references = [_reference(item) for item in _bounded(ds.ReferencedSOPSequence)]
    if not references:
        raise Unparsable("no references")
    return transaction_uid, references


def read_answer(ds: Dataset) -> Answer:
    """Return what an N-EVENT-REPORT request says; only what it names is kept.

    Raises:
        Unparsable, InvalidUID, TooManyReferences: as above.
    """
    with _parsing():
        kept = [_reference(item) for item in _bounded(ds.get("ReferencedSOPSequence") or [])]
        items = _bounded(ds.get("FailedSOPSequence") or [])
        failed = {_reference(item): int(item.FailureReason) for item in items}
        return Answer(transaction_uid=check_uid(str(ds.TransactionUID)), kept=kept, failed=failed)


def request_data_set(transaction_uid: str, references: Iterable[Reference]) -> Dataset:
    """Return the data set of an N-ACTION request."""
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.ReferencedSOPSequence = [_item(reference) for reference in references]
    return ds


def answer_data_set(answer: Answer) -> tuple[int, Dataset]:
    """Return event type and data set of an N-EVENT-REPORT request."""
    ds = Dataset()
    ds.TransactionUID = answer.transaction_uid
    if answer.kept:
        ds.ReferencedSOPSequence = [_item(reference) for reference in answer.kept]
    if not answer.failed:
        return ALL_KEPT, ds
    ds.FailedSOPSequence = [_item(reference) for reference in answer.failed]
    for item, reason in zip(ds.FailedSOPSequence, answer.failed.values(), strict=True):
        item.FailureReason = reason
    return SOME_FAILED, ds


def answer_for(transaction_uid: str, references: Iterable[Reference], held: Mapping[str, str]) -> Answer:
    """Say what is kept of `references` by what is `held`: SOP class by instance."""
    kept, failed = [], {}
    for sop_class, instance in references:
        if held.get(instance) == sop_class:
            kept.append((sop_class, instance))
        else:
            failed[sop_class, instance] = CLASS_INSTANCE_CONFLICT if instance in held else NO_SUCH_INSTANCE
    return Answer(transaction_uid=transaction_uid, kept=kept, failed=failed)


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
