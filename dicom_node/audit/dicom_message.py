"""Audit rows as DICOM audit messages (PS3.15 A.5), framed for syslog over TLS (RFC 5424, RFC 5425).

No message identifies a patient: the participant object is the study, by its UID.
"""

import base64
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree as ET

from dicom_node.process.logs import printable
from store.audit.audit_log import AuditEvent
from store.db.utc_text import utc_text


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The identification of a message (PS3.15 A.5.1); codes and meanings of scheme DCM (CID 400 to 405)."""

    event: tuple[str, str]
    """EventID."""
    action: str
    """EventActionCode: Create, Read, Update, Delete or Execute."""
    type: tuple[str, str] | None = None
    """EventTypeCode."""


ACTIVITY = ("110100", "Application Activity")
LOG_USED = ("110101", "Audit Log Used")
ACCESSED = ("110103", "DICOM Instances Accessed")
TRANSFERRED = ("110104", "DICOM Instances Transferred")
ALERT = ("110113", "Security Alert")
APPLICATION, DESTINATION, SOURCE = (
    ("110150", "Application"),
    ("110152", "Destination Role ID"),
    ("110153", "Source Role ID"),
)

KINDS = {
    "node.started": Kind(event=ACTIVITY, action="E", type=("110120", "Application Start")),
    "node.stopped": Kind(event=ACTIVITY, action="E", type=("110121", "Application Stop")),
    "audit.read": Kind(event=LOG_USED, action="R"),
    "audit.rows_lost": Kind(event=ALERT, action="E", type=("110133", "Audit Recording Stopped")),
    "association.rejected": Kind(event=ALERT, action="E", type=("110126", "Node Authentication")),
    # Not "transferred", which requires a Study Instance UID: a refused data set may have none.
    "instance.refused": Kind(event=ALERT, action="E", type=("110132", "Use of Restricted Function")),
    "instance.received": Kind(event=TRANSFERRED, action="C"),
    "instance.adopted": Kind(event=TRANSFERRED, action="C"),
    "instance.duplicate": Kind(event=TRANSFERRED, action="R"),
    "instance.conflict": Kind(event=TRANSFERRED, action="U"),
    "instance.corrected": Kind(event=TRANSFERRED, action="U"),
    "instance.measured": Kind(event=ACCESSED, action="R"),
    "instance.not_measured": Kind(event=ACCESSED, action="R"),
    "result.created": Kind(event=ACCESSED, action="C"),
    "delivery.delivered": Kind(event=TRANSFERRED, action="C"),
    "delivery.sent": Kind(event=TRANSFERRED, action="C"),
    "delivery.retry": Kind(event=TRANSFERRED, action="C"),
    "delivery.dead": Kind(event=TRANSFERRED, action="C"),
}
"""The audit events that become messages; PS3.15 has no message for the others."""

OUTCOMES = {"success": "0", "refused": "4", "failure": "8"}
FACILITY, NOTICE, WARNING = 10, 5, 4  # security/authorization messages (RFC 5424 6.2.1)
MESSAGE_ID = "DICOM+RFC3881"
ENCODING_MARK = b"\xef\xbb\xbf"
MAX_TEXT = 128


def frame(event: AuditEvent, *, ae_title: str) -> bytes | None:
    """Return an event as one octet-counted syslog message (RFC 5425 4.3); None if it is not in `KINDS`."""
    if event.event not in KINDS:
        return None
    severity = NOTICE if event.outcome == "success" else WARNING
    origin = f"{host_name()} echonode {os.getpid()} {MESSAGE_ID}"
    header = f"<{8 * FACILITY + severity}>1 {utc_text(event.at)} {origin} - "
    message = header.encode("ascii") + ENCODING_MARK + xml(event, ae_title=ae_title)
    return f"{len(message)} ".encode("ascii") + message


@cache
def host_name() -> str:
    """Return the HOSTNAME of RFC 5424 6.2.4: printable ASCII without blanks."""
    return printable(socket.gethostname(), 255).replace(" ", "-") or "-"


def xml(event: AuditEvent, *, ae_title: str) -> bytes:
    """Return an event as an AuditMessage (PS3.15 A.5.1); KeyError if it is not in `KINDS`."""
    kind = KINDS[event.event]
    message = ET.Element("AuditMessage")
    identification = ET.SubElement(
        message,
        "EventIdentification",
        EventActionCode=kind.action,
        EventDateTime=utc_text(event.at),
        EventOutcomeIndicator=OUTCOMES[event.outcome],
    )
    _code(identification, "EventID", kind.event)
    if kind.type is not None:
        _code(identification, "EventTypeCode", kind.type)
    message.extend(_participants(event, kind, ae_title))
    ET.SubElement(message, "AuditSourceIdentification", AuditSourceID=f"{ae_title}@{host_name()}")
    message.extend(_objects(event, kind))
    return bytes(ET.tostring(message, encoding="utf-8", xml_declaration=True))


def _participants(event: AuditEvent, kind: Kind, ae_title: str) -> Iterator[ET.Element]:
    """Yield the ActiveParticipant elements (tables of PS3.15 A.5.3)."""
    outgoing = event.event.startswith("delivery.")
    if kind.event == TRANSFERRED:
        other = str(event.detail.get("destination")) if outgoing else event.peer_ae
        yield _participant(
            ae_title, SOURCE if outgoing else DESTINATION, requestor=outgoing, ae_title=ae_title
        )
        yield _participant(
            other, DESTINATION if outgoing else SOURCE, requestor=not outgoing, ip=event.peer_ip
        )
    elif kind.event == LOG_USED:
        yield _participant(str(event.detail.get("by")), None, requestor=True)
    else:
        role = APPLICATION if kind.event == ACTIVITY else None
        yield _participant(ae_title, role, requestor=kind.event == ACCESSED, ae_title=ae_title)
        if event.peer_ae or event.peer_ip:
            yield _participant(event.peer_ae, None, requestor=True, ip=event.peer_ip)


def _participant(
    user: str | None,
    role: tuple[str, str] | None,
    *,
    requestor: bool,
    ip: str | None = None,
    ae_title: str | None = None,
) -> ET.Element:
    attributes = {"UserID": printable(user or "unknown", MAX_TEXT), "UserIsRequestor": str(requestor).lower()}
    if ae_title is not None:
        attributes["AlternativeUserID"] = f"AETITLES={ae_title}"
    if ip is not None:
        attributes |= {"NetworkAccessPointID": printable(ip, MAX_TEXT), "NetworkAccessPointTypeCode": "2"}
    participant = ET.Element("ActiveParticipant", attributes)
    if role is not None:
        _code(participant, "RoleIDCode", role)
    return participant


def _objects(event: AuditEvent, kind: Kind) -> Iterator[ET.Element]:
    """Yield the ParticipantObjectIdentification elements."""
    if kind.event == LOG_USED:
        yield _object("echonode:audit", ("12", "URI"), "Security Audit Log", role="13", scheme="RFC-3881")
    elif kind.event == ALERT:
        alert = _object(host_name(), ("110182", "Node ID"), host_name(), role=None)
        description = printable(event.detail.get("reason") or event.event, 2 * MAX_TEXT)
        value = base64.b64encode(description.encode()).decode()
        ET.SubElement(alert, "ParticipantObjectDetail", type="Alert Description", value=value)
        yield alert
    elif event.study_uid is not None:
        study = _object(event.study_uid, ("110180", "Study Instance UID"), event.study_uid, role="3")
        if event.sop_instance_uid is not None:
            contents = ET.SubElement(study, "ParticipantObjectDescription")
            sop_class = ET.SubElement(contents, "SOPClass", NumberOfInstances="1")
            ET.SubElement(sop_class, "Instance", UID=printable(event.sop_instance_uid, MAX_TEXT))
        yield study


def _object(
    number: str, id_type: tuple[str, str], name: str, *, role: str | None, scheme: str = "DCM"
) -> ET.Element:
    attributes = {"ParticipantObjectID": printable(number, MAX_TEXT), "ParticipantObjectTypeCode": "2"}
    if role is not None:
        attributes["ParticipantObjectTypeCodeRole"] = role
    made = ET.Element("ParticipantObjectIdentification", attributes)
    _code(made, "ParticipantObjectIDTypeCode", id_type, scheme=scheme)
    ET.SubElement(made, "ParticipantObjectName").text = printable(name, MAX_TEXT)
    return made


def _code(parent: ET.Element, name: str, code: tuple[str, str], *, scheme: str = "DCM") -> None:
    ET.SubElement(parent, name, {"csd-code": code[0], "codeSystemName": scheme, "originalText": code[1]})
