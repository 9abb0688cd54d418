"""The content tree of a Simplified Echo Procedure Report (PS3.16 TID 5300)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from highdicom.sr import CodeContentItem, ContainerContentItem, ContentItem, NumContentItem, TextContentItem
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicom_node.report import codes, items
from dicom_node.report.context import ReportContext
from dicom_node.report.quantities import LV_MASS_INDEX
from dicom_node.report.reported import ReportedValue, reported_values
from inference.image.patient import patient_of
from inference.types import StripResult

PRE_COORDINATED: Final[Mapping[str, Code]] = {
    "IVSd_cm": Code("79968-4", "LN", "Interventricular septum diastolic dimension MM"),
    "LVIDd_cm": Code("80008-6", "LN", "Left ventricular internal diastolic dimension - MM"),
    "LVPWd_cm": Code("80031-8", "LN", "Left ventricular posterior wall diastolic thickness by US.M-mode"),
    "IVSs_cm": Code("79970-0", "LN", "Interventricular septum systolic dimension MM"),
    "LVIDs_cm": Code("80012-8", "LN", "Left ventricular internal systolic dimension - MM"),
    "LVPWs_cm": Code("80033-4", "LN", "Left ventricular posterior wall systolic thickness by US.M-mode"),
    "FS_percent": Code("29435-5", "LN", "Left ventricular fractional shortening (of minor axis) (MM)"),
    "EF_percent": Code("18049-7", "LN", "Left ventricular ejection fraction (Teichholz) MM"),
    "LVmass_g": Code("80022-7", "LN", "Left ventricular mass (dimension method) MM"),
    LV_MASS_INDEX.key: codes.LV_MASS_INDEX,
}
"""CID 12300. DICOM gives 80031-8 and 80032-6 the same meaning (also 80033-4 and 80034-2); in LOINC the
first of each pair is by M-mode, which the meanings here add."""


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """The codes of TID 5302 for a value without a pre-coordinated code."""

    measured_property: Code
    observation: Code
    cycle_point: Code | None = None


POST_COORDINATED: Final[Mapping[str, Meaning]] = {
    "EDV_ml": Meaning(
        measured_property=codes.VOLUME, observation=codes.STRUCTURE, cycle_point=codes.END_DIASTOLE
    ),
    "ESV_ml": Meaning(
        measured_property=codes.VOLUME, observation=codes.STRUCTURE, cycle_point=codes.END_SYSTOLE
    ),
    "SV_ml": Meaning(measured_property=codes.STROKE_VOLUME, observation=codes.HEMODYNAMIC),
    "RWT": Meaning(measured_property=codes.RATIO_PROPERTY, observation=codes.STRUCTURE),
    "HR_bpm": Meaning(measured_property=codes.HEART_RATE, observation=codes.HEMODYNAMIC),
    "CO_l_min": Meaning(measured_property=codes.CARDIAC_OUTPUT, observation=codes.HEMODYNAMIC),
}


def simplified_report(
    source: Dataset, results: Sequence[StripResult], context: ReportContext
) -> ContainerContentItem:
    """Return the root container with the values of all strips; this template has no groups."""
    numbers = list(_numbers(source, results))
    pre = [_pre_coordinated(source, each) for each in numbers if each.key in PRE_COORDINATED]
    post = [_post_coordinated(source, each) for each in numbers if each.key in POST_COORDINATED]
    root = ContainerContentItem(codes.ADULT_ECHO_REPORT, is_content_continuous=False, template_id="5300")
    root.ContentSequence = [
        items.language(),
        *items.observer(context.installation_uid),
        *items.patient_characteristics(patient_of(source)),
        items.container(codes.PRE_COORDINATED, pre),
        items.container(codes.POST_COORDINATED, post),
    ]
    return root


@dataclass(frozen=True, kw_only=True)
class _Number:
    """One number of one strip."""

    reported: ReportedValue
    frame: int
    may_be_chosen: bool
    """It is the first of its quantity, which alone may have a Selection Status."""

    @property
    def key(self) -> str:
        return self.reported.quantity.key


def _numbers(source: Dataset, results: Sequence[StripResult]) -> Iterator[_Number]:
    seen: set[str] = set()
    for result in results:
        for each in reported_values(result, patient_of(source)) if result.measured else []:
            first = each.value is not None and each.quantity.key not in seen
            seen |= {each.quantity.key} if first else set()
            yield _Number(reported=each, frame=result.frame, may_be_chosen=first)


def _pre_coordinated(source: Dataset, each: _Number) -> NumContentItem:
    """Return one NUM of TID 5301, which allows no further modifiers."""
    children = [*items.derivation(each.reported), *_common(source, each)]
    return items.number(each.reported, PRE_COORDINATED[each.key], children)


def _post_coordinated(source: Dataset, each: _Number) -> NumContentItem:
    """Return one NUM of TID 5302, with a code for every aspect."""
    meaning, quantity = POST_COORDINATED[each.key], each.reported.quantity
    aspects = {
        codes.MEASUREMENT_TYPE: codes.CALCULATED,
        codes.FINDING_SITE: codes.LEFT_VENTRICLE,
        codes.OBSERVATION_TYPE: meaning.observation,
        codes.MEASURED_PROPERTY: meaning.measured_property,
        codes.IMAGE_MODE: codes.M_MODE,
    }
    if meaning.cycle_point is not None:
        aspects[codes.CYCLE_POINT] = meaning.cycle_point
    children = [
        *(CodeContentItem(concept, value, items.MODIFIER) for concept, value in aspects.items()),
        *items.method(quantity),
        *items.derivation(each.reported),
        *_common(source, each),
    ]
    return items.number(each.reported, quantity.concept, children)


def _common(source: Dataset, each: _Number) -> list[ContentItem]:
    """Return short label, selection status and sources."""
    label = f"{each.reported.quantity.label} (MM)"
    return [
        TextContentItem(codes.SHORT_LABEL, label, items.MODIFIER),
        *(items.selection(each.reported) if each.may_be_chosen else []),
        *items.sources(source, each.frame, each.reported),
    ]
