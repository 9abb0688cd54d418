"""The outbox: due deliveries are sent, and each outcome becomes the next state of its row."""

from contextlib import closing
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from dicom_node.delivery.backoff import next_attempt
from dicom_node.network.outcomes import Accepted, NotTried, Outcome, Refused, Unreachable
from dicom_node.network.scu import Outgoing, send_objects
from dicom_node.runtime import Runtime
from dicom_node.settings.sections import DeliverySettings, Destination
from store.errors import IllegalTransition, NotFound
from store.rows import deliveries, delivery_transitions
from store.rows.deliveries import Delivery

log = structlog.get_logger()

BATCH = 50
"""Objects per association."""
_SOP_CLASS_NOT_SUPPORTED = 0x0122


def deliver_due(runtime: Runtime, destination: Destination) -> int:
    """Send everything that is due now to one destination; return the number of attempts.

    An association that ends at one object is opened again for those after it, so that an object at which
    a destination always ends it holds up no other.

    The objects of a study are sent in order: each waits until the one before is delivered or parked. So
    each round sends the first object of every study over one association, until none is due.
    """
    attempts, began = 0, runtime.clock()
    while not runtime.stop.is_set():
        heads = due(runtime, began, destination=destination.name)
        if not heads:
            break
        attempts += _send(runtime, destination, heads)
    return attempts


def park_homeless(runtime: Runtime) -> int:
    """Park the deliveries whose destination is no longer in the settings; return how many."""
    names = {destination.name for destination in runtime.settings.destinations}
    homeless, now = [], runtime.clock()
    with runtime.database.read() as session:
        for name in sorted(deliveries.waiting_destinations(session) - names):
            homeless += deliveries.due(session, now=now, destination=name)
            homeless += deliveries.to_be_committed(session, now=now, destination=name)
    for row in homeless:
        error = f"destination {row.destination!r} is no longer in the settings"
        with runtime.database.transaction() as session:
            delivery_transitions.park(session, row, error=error, status=None, now=runtime.clock())
    return len(homeless)


def conclude(
    session: Session,
    delivery: Delivery,
    outcome: Outcome,
    *,
    now: datetime,
    policy: DeliverySettings,
    commitment: bool,
) -> None:
    """Record the outcome of an attempt: delivered (`commitment`: sent), to be retried, or parked."""
    if isinstance(outcome, Accepted):
        accepted = delivery_transitions.sent if commitment else delivery_transitions.delivered
        accepted(session, delivery, status=outcome.status, now=now)
        return
    status, error = (outcome.status if isinstance(outcome, Refused) else None), str(outcome)
    again = again_at(delivery, now=now, policy=policy)
    if again is None or is_permanent(outcome):
        delivery_transitions.park(session, delivery, error=error, status=status, now=now)
    else:
        delivery_transitions.retry_later(
            session, delivery, error=error, status=status, next_attempt_at=again, now=now
        )
    log.warning("delivery.failed", to=delivery.destination, object=delivery.sop_instance_uid, error=error)


def again_at(delivery: Delivery, *, now: datetime, policy: DeliverySettings) -> datetime | None:
    """Return the time of the next attempt of a delivery that just failed; None to give up."""
    return next_attempt(
        attempts=delivery.attempts + 1,
        waiting_since=delivery.waiting_since,
        now=now,
        policy=policy,
        key=f"{delivery.destination}/{delivery.sop_instance_uid}",
    )


def is_permanent(outcome: Outcome) -> bool:
    """Tell whether an outcome other than `Accepted` would be the same at the next attempt.

    Permanent are the statuses that concern the object (PS3.4 B.2.3: 0xA9xx data set does not match SOP
    class, 0xCxxx cannot understand; PS3.7 C.5.6: 0x0122 SOP class not supported), a rejected
    presentation context, an unknown AE title and an unreadable file. Not permanent are a missing
    response, 0xA7xx (out of resources) and any other status.
    """
    if isinstance(outcome, Refused):
        status = outcome.status
        return status == _SOP_CLASS_NOT_SUPPORTED or status >> 8 == 0xA9 or status >> 12 == 0xC  # noqa: PLR2004 - the ranges above
    return not isinstance(outcome, Unreachable)


def due(runtime: Runtime, now: datetime, *, destination: str) -> list[Delivery]:
    """Return the next deliveries to send over one association."""
    with runtime.database.read() as session:
        return deliveries.due(session, now=now, destination=destination, limit=BATCH)


def _send(runtime: Runtime, destination: Destination, batch: list[Delivery]) -> int:
    """Send a batch over one association; each outcome is committed before the next object is sent."""
    objects = [Outgoing(path=runtime.files.absolute(each.path), sha256=each.sha256) for each in batch]
    calling_ae, tls = runtime.settings.node.ae_title, runtime.settings.tls
    attempts = 0
    with closing(send_objects(destination, objects, calling_ae=calling_ae, tls=tls)) as outcomes:
        for delivery, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, NotTried):
                break
            attempts += 1
            _conclude_now(runtime, destination, delivery, outcome)
            if runtime.stop.is_set():
                break
    return attempts


def _conclude_now(runtime: Runtime, destination: Destination, delivery: Delivery, outcome: Outcome) -> None:
    """Commit the outcome, unless somebody has changed the delivery while it was sent."""
    try:
        with runtime.database.transaction() as session:
            conclude(
                session,
                delivery,
                outcome,
                now=runtime.clock(),
                policy=runtime.settings.delivery,
                commitment=destination.commitment,
            )
    except (IllegalTransition, NotFound) as error:
        log.warning("delivery.changed_meanwhile", object=delivery.sop_instance_uid, error=str(error))
