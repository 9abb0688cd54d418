"""The outbox: rows that are due go to their destination, and each answer becomes the row's next state."""

from contextlib import closing
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from dicom_node.delivery.backoff import next_attempt
from dicom_node.network.scu import Accepted, Outcome, Refused, Unreachable, send_objects
from dicom_node.runtime import Runtime
from dicom_node.settings import DeliverySettings, Destination
from store.rows import deliveries
from store.rows.deliveries import Delivery

log = structlog.get_logger()

BATCH = 50
"""Objects per association."""
_SOP_CLASS_NOT_SUPPORTED = 0x0122


def deliver_due(runtime: Runtime, destination: Destination) -> int:
    """Send everything that is due now to one destination; return how many attempts were made.

    Rows of a study keep their order: one waits until the row before it is delivered or parked. So
    each round sends the first of every study over one association, until no row is due.
    """
    attempts, began = 0, runtime.clock()
    while not runtime.stop.is_set():
        heads = due(runtime, began, destination=destination.name)
        if not heads:
            break
        attempts += _send(runtime, destination, heads)
    return attempts


def park_homeless(runtime: Runtime) -> int:
    """Park rows whose destination is no longer configured, with that reason; return how many."""
    names = {destination.name for destination in runtime.settings.destinations}
    with runtime.database.read() as session:
        rows = deliveries.due(session, now=runtime.clock())
        rows += deliveries.to_be_committed(session, now=runtime.clock())
    homeless = [row for row in rows if row.destination not in names]
    for row in homeless:
        error = f"destination {row.destination!r} is no longer in the settings"
        with runtime.database.transaction() as session:
            deliveries.park(session, row, error=error, status=None, now=runtime.clock())
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
    """Move the row as the outcome says: delivered (with `commitment`: sent), again later, or parked."""
    if isinstance(outcome, Accepted):
        taken = deliveries.sent if commitment else deliveries.delivered
        taken(session, delivery, status=outcome.status, now=now)
        return
    status, error = (outcome.status if isinstance(outcome, Refused) else None), str(outcome)
    again = again_at(delivery, now=now, policy=policy)
    if again is None or is_permanent(outcome):
        deliveries.park(session, delivery, error=error, status=status, now=now)
    else:
        deliveries.retry_later(session, delivery, error=error, status=status, next_attempt_at=again, now=now)
    log.warning("delivery.failed", to=delivery.destination, object=delivery.sop_instance_uid, error=error)


def again_at(delivery: Delivery, *, now: datetime, policy: DeliverySettings) -> datetime | None:
    """Return when a delivery that just failed is tried again; None to give up."""
    return next_attempt(
        attempts=delivery.attempts + 1,
        waiting_since=delivery.waiting_since,
        now=now,
        policy=policy,
        key=f"{delivery.destination}/{delivery.sop_instance_uid}",
    )


def is_permanent(outcome: Outcome) -> bool:
    """Tell whether the same object would fail the same way tomorrow.

    Refusals of the object itself are permanent (PS3.4 B.2.3: 0xA9xx data set does not match SOP
    class, 0xCxxx cannot understand; PS3.7 C.5.6: 0x0122 SOP class not supported), as is a peer that
    does not negotiate it or does not know our AE title or its own. No answer, or "out of resources"
    (0xA7xx) and the like, may pass.
    """
    if isinstance(outcome, Refused):
        status = outcome.status
        return status == _SOP_CLASS_NOT_SUPPORTED or status >> 8 == 0xA9 or status >> 12 == 0xC  # noqa: PLR2004 - the ranges above
    return not isinstance(outcome, Unreachable)


def due(runtime: Runtime, now: datetime, *, destination: str) -> list[Delivery]:
    """Return the next rows to send."""
    with runtime.database.read() as session:
        return deliveries.due(session, now=now, destination=destination, limit=BATCH)


def _send(runtime: Runtime, destination: Destination, batch: list[Delivery]) -> int:
    """Send the batch over one association; each answer is committed before the next object goes."""
    paths = [runtime.files.absolute(delivery.path) for delivery in batch]
    calling_ae, policy = runtime.settings.node.ae_title, runtime.settings.delivery
    tls = runtime.settings.tls
    with closing(send_objects(destination, paths, calling_ae=calling_ae, tls=tls)) as outcomes:
        for sent, (delivery, outcome) in enumerate(zip(batch, outcomes, strict=True), start=1):
            with runtime.database.transaction() as session:
                conclude(
                    session,
                    delivery,
                    outcome,
                    now=runtime.clock(),
                    policy=policy,
                    commitment=destination.commitment,
                )
            if runtime.stop.is_set():
                return sent
    return len(batch)
