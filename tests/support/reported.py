"""Reports as a PACS reads them, and what tests look for in them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread

from dicom_node.report.build import build_results
from dicom_node.report.context import ReportContext
from dicom_node.report.objects import ReportObject
from dicom_node.report.plan import ReportPlan
from inference.types import StripResult
from store.rows.results import Kind
from support import builders, measured_strips

AT = datetime(2026, 1, 2, 23, 30, 15, 250000, tzinfo=UTC)
OBSERVER = "2.25.424242"


def source(**attributes: Any) -> Dataset:
    """Return a still with one M-mode region over all of it."""
    return builders.us_image(builders.texture(400, 600), **attributes)


def clip(**attributes: Any) -> Dataset:
    """Return three frames of the same."""
    frames = np.stack([builders.texture(400, 600, seed=seed) for seed in range(3)])
    return builders.us_image(frames, **attributes)


def built(ds: Dataset, results: list[StripResult] | None = None, **arguments: Any) -> list[ReportObject]:
    """Build the results of `ds` with the usual context, but for `arguments`."""
    return build_results(ds, results or [measured_strips.strip_result()], context(**arguments))


def context(**arguments: Any) -> ReportContext:
    """Return the usual context, but for `arguments`."""
    usual: dict[str, Any] = {
        "model": measured_strips.MODEL,
        "revision": 1,
        "predecessors": {},
        "installation_uid": OBSERVER,
        "at": AT,
        "plan": plan("tid5200", "overlay"),
    }
    return ReportContext(**(usual | arguments))


def plan(*kinds: Kind, **variant: Any) -> ReportPlan:
    """Return a single destination's wishes."""
    return ReportPlan(by_destination={"pacs": frozenset(kinds)}, **variant)


def read(*objects: ReportObject) -> list[Dataset]:
    """Parse objects back from their bytes."""
    return [dcmread(BytesIO(each.data)) for each in objects]


def code(item: Dataset, keyword: str = "ConceptNameCodeSequence") -> str:
    """Return the value of a content item's concept, or of another code sequence."""
    return str(item[keyword].value[0].CodeValue)


def walk(item: Dataset, parents: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Dataset]]:
    """Yield every content item with the concepts above it."""
    for child in item.get("ContentSequence", []):
        yield parents, child
        yield from walk(child, (*parents, code(child)))


def numbers(report: Dataset) -> dict[str, Dataset]:
    """Return the NUM items of a report with one group, by concept."""
    return {code(item): item for _, item in walk(report) if item.ValueType == "NUM"}


def coded(item: Dataset, concept: str) -> str | None:
    """Return the coded value of a child by its concept, None when there is no such child."""
    children = [child for child in item.get("ContentSequence", []) if code(child) == concept]
    return code(children[0], "ConceptCodeSequence") if children else None
