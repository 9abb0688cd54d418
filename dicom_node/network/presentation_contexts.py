"""The presentation contexts that the node accepts (PS3.8 7.1.1.13), and the SOP classes that it analyses."""

from collections.abc import Iterable

from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.service_class import ServiceClass, StorageServiceClass
from pynetdicom.sop_class import Verification, uid_to_service_class

from dicom_node.network import commitment_messages

ULTRASOUND_CLASSES = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image
        "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image, retired; carts still send it
        "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame Image, retired
    }
)
"""SOP classes whose instances are analysed, those of `inference.image.regions`; others are kept.

Enhanced US Volume is kept: its IOD has no US Region Calibration (PS3.3 A.59), so none has a calibrated
M-mode region."""

COMPOSITE_STORAGE_ARC = "1.2.840.10008.5.1.4.1.1."
TRANSFER_SYNTAXES = tuple(AllTransferSyntaxes)


def is_storage(sop_class: UID) -> bool:
    """Tell whether a proposed abstract syntax counts as a storage SOP class.

    Retired and private ones do: echo studies contain them, and some scanners abort the association
    when one of their contexts is rejected.
    """
    service = uid_to_service_class(sop_class)
    if service is ServiceClass:
        return bool(sop_class.is_private) or sop_class.startswith(COMPOSITE_STORAGE_ARC)
    return bool(service is StorageServiceClass)


def supported_contexts(
    proposed: Iterable[PresentationContext], *, storage: bool = True
) -> list[PresentationContext]:
    """Return the contexts that pynetdicom shall accept of a proposal.

    Verification, storage commitment and, with `storage`, every proposed storage class with those of the
    proposed transfer syntaxes that pydicom knows. Scanners propose one class in several contexts with a
    syntax or two each; pynetdicom needs one entry per class, with all of them. A context without a known
    syntax is rejected.
    """
    supported = [build_context(Verification, list(TRANSFER_SYNTAXES)), _storage_commitment()]
    if not storage:
        return supported
    syntaxes: dict[UID, list[UID]] = {}
    for context in proposed:
        if is_storage(context.abstract_syntax):
            known = syntaxes.setdefault(context.abstract_syntax, [])
            known += [uid for uid in context.transfer_syntax if uid in TRANSFER_SYNTAXES and uid not in known]
    supported += [build_context(uid, known or list(TRANSFER_SYNTAXES)) for uid, known in syntaxes.items()]
    return supported


def _storage_commitment() -> PresentationContext:
    """Return the storage commitment context, for requests of scanners (SCP) and reports of a PACS (SCU)."""
    context = build_context(commitment_messages.SOP_CLASS, commitment_messages.SYNTAXES)
    context.scu_role = context.scp_role = True
    return context
