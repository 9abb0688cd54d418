"""Who gets an association now: the rule of `admission`, the room on the disk, and a place."""

from dataclasses import replace
from typing import Any

from dicom_node.network.peer import Peer
from dicom_node.network.presentation_contexts import is_storage, supported_contexts
from dicom_node.process.logs import printable
from dicom_node.receive.access import (
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
    """Admits associations, or rejects them for a reason that is on record."""

    def __init__(self, settings: Settings, *, rejection_log: RejectionLog, disk: DiskWatch) -> None:
        self._settings = settings
        self._rejection_log = rejection_log
        self._disk = disk
        self._places = Quota(settings.node.max_associations)
        self._places_of_host = Quota(settings.node.max_associations_per_peer)
        self._admitted: set[Any] = set()

    def decide(self, association: Any) -> None:
        """Reject a requested association, or say what it may be used for."""
        request, ip = association.requestor.primitive, association.requestor.address
        proposed = request.presentation_context_definition_list
        refused = rejection(
            self._settings, called_ae=request.called_ae_title, calling_ae=request.calling_ae_title, ip=ip
        )
        # Who brings no objects may come in: an answer on storage commitment makes room.
        brings = any(is_storage(context.abstract_syntax) for context in proposed)
        if refused is None and brings and not self._disk.has_room():
            # Audited by the watch: a sender that keeps trying is no news.
            _send_rejection(association, DISK_LOW)
            return
        refused = refused or self._take_place(association)
        if refused is None:
            storage = may_store(self._settings, calling_ae=request.calling_ae_title, ip=ip)
            association.acceptor.supported_contexts = supported_contexts(proposed, storage=storage)
            return
        association.requestor.ae_title = request.calling_ae_title
        called_ae = printable(request.called_ae_title)
        self._rejection_log.note(refused.reason, Peer.of(association), called_ae=called_ae)
        self._rejection_log.flush_due()
        _send_rejection(association, refused)

    def release(self, association: Any) -> None:
        """Give the place of an association back; count a peer that never asked for one as it should."""
        if association in self._admitted:
            self._admitted.discard(association)
            self._places.give_back(None)
            self._places_of_host.give_back(association.requestor.address)
        elif association.dul.is_broken:
            self._rejection_log.note(
                "no valid association request",
                replace(Peer.of(association), ae_title=""),
                found=association.dul.ending,
            )
            self._rejection_log.flush_due()

    def _take_place(self, association: Any) -> Rejection | None:
        """Count associations, of all and of one host under whatever AE titles it calls.

        pynetdicom's own limit counts connections, those that never ask for an association too.
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
