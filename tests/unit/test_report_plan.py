"""Who gets which objects."""

import pytest

from dicom_node.report.plan import ReportPlan
from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination


def destination(name: str, **options: object) -> Destination:
    """Return a destination with these options."""
    return Destination.model_validate(
        {"name": name, "ae_title": "PACS", "host": "192.0.2.1", "port": 104} | options
    )


def test_each_destination_gets_what_it_asks_for() -> None:
    """The default is the echo report with a picture; anything else is made because somebody wants it."""
    settings = Settings(
        destinations=(
            destination("pacs"),
            destination("ai", sr=["tid1500", "tid5300"], overlay=False, presentation_state=True),
        )
    )
    plan = ReportPlan.of(settings)

    assert plan.kinds == {"tid5200", "overlay", "tid1500", "tid5300", "presentation_state"}
    assert plan.destinations("tid5200") == plan.destinations("overlay") == ["pacs"]
    assert plan.destinations("tid1500") == plan.destinations("presentation_state") == ["ai"]


def test_a_destination_may_want_pictures_only_or_nothing() -> None:
    """An empty list of reports is none."""
    plan = ReportPlan.of(
        Settings(destinations=(destination("viewer", sr=[]), destination("none", sr=[], overlay=False)))
    )

    assert plan.kinds == {"overlay"}
    assert plan.destinations("overlay") == ["viewer"]


def test_without_destinations_the_usual_is_kept() -> None:
    """A node that is being installed measures and keeps; nobody gets anything."""
    plan = ReportPlan.of(Settings())

    assert plan.kinds == {"tid5200", "overlay"}
    assert plan.destinations("tid5200") == []


@pytest.mark.parametrize("options", [{"report": {"per_beat": True}}, {"codes": {"snomed": "SRT"}}])
def test_another_manner_is_another_object(options: dict[str, object]) -> None:
    """What changes the content changes the UIDs, lest two contents share one."""
    assert ReportPlan.of(Settings.model_validate(options)).variant != ReportPlan.of(Settings()).variant
