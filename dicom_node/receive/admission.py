"""Acceptance of association requests: access rules, free disk space, number of associations."""

from dataclasses import replace
from typing import Any

from dicom_node.network.peer import Peer
from dicom_node.network.presentation_contexts import is_storage, supported_contexts
from dicom_node.process.logs import printable
from dicom_node.receive.access import (
    APPLICATION_CONTEXT,
    APPLICATION_CONTEXT_UNKNOWN,
    DISK_LOW,
    TOO_MANY,
    TOO_MANY_OF_HOST,
    Rejection,
    may_store,
    rejection,
)
from dicom_node.receive.quota import Quota
from dicom_node.receive.rejection_log import RejectionLog
from dicom_node.settings import Settings
from dicom_node.storage.disk import DiskWatch


class AssociationAdmission:
    """Accepts or rejects association requests (A-ASSOCIATE-RQ) and records the rejections."""

    def __init__(self, settings: Settings, *, rejection_log: RejectionLog, disk: DiskWatch) -> None:
        self._settings = settings
        self._rejection_log = rejection_log
        self._disk = disk
        self._places = Quota(settings.node.max_associations)
        self._places_of_host = Quota(settings.node.max_associations_per_peer)
        self._admitted: set[Any] = set()

    def decide(self, association: Any) -> None:
        """Reject a requested association, or set the presentation contexts that pynetdicom accepts."""
        titles, ip = association.dul.titles, association.requestor.address
        primitive = association.requestor.primitive
        proposed = primitive.presentation_context_definition_list
        if primitive.application_context_name != APPLICATION_CONTEXT:
            refused: Rejection | None = APPLICATION_CONTEXT_UNKNOWN
        else:
            refused = rejection(
                self._settings, called_ae=titles.called_ae, calling_ae=titles.calling_ae, ip=ip
            )
        # With a full disk, storage commitment is still accepted: its answers let files be removed.
        proposes_storage = any(is_storage(context.abstract_syntax) for context in proposed)
        if refused is None and proposes_storage and not self._disk.has_room():
            # `DiskWatch` records when the disk becomes low, not each rejection.
            _send_rejection(association, DISK_LOW)
            return
        refused = refused or self._take_place(association)
        if refused is None:
            storage = may_store(self._settings, calling_ae=titles.calling_ae, ip=ip)
            association.acceptor.supported_contexts = supported_contexts(proposed, storage=storage)
            return
        called_ae = printable(titles.called_ae)
        self._rejection_log.note(refused.reason, Peer.of(association), called_ae=called_ae)
        self._rejection_log.flush_due()
        _send_rejection(association, refused)

    def release(self, association: Any) -> None:
        """Stop counting an ended association; record a connection without a valid association request."""
        if association in self._admitted:
            self._admitted.discard(association)
            self._places.give_back(None)
            self._places_of_host.give_back(association.requestor.address)
        elif association.dul.has_violation:
            self._rejection_log.note(
                "no valid association request",
                replace(Peer.of(association), ae_title=""),
                found=association.dul.end_reason,
            )
            self._rejection_log.flush_due()

    def _take_place(self, association: Any) -> Rejection | None:
        """Count the association against the limits of all and of its host, under any AE title.

        pynetdicom's own limit counts connections, also those without an association request.
        """
        host = association.requestor.address
        if not self._places_of_host.take(host):
            return TOO_MANY_OF_HOST
        if not self._places.take(None):
            self._places_of_host.give_back(host)
            return TOO_MANY
        self._admitted.add(association)
        return None


def _send_rejection(association: Any, why: Rejection) -> None:
    association.acse.send_reject(why.result, why.source, why.diagnostic)
    association.kill()
