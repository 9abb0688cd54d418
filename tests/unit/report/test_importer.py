"""An importer written from the standard alone reads our echo reports."""

from io import BytesIO

import pytest
from support import measured_strips
from support.reported import built, clip, plan, source
from support.tid5200_importer import imported

from dicom_node.report.quantities import QUANTITIES


@pytest.mark.parametrize("per_beat", [False, True])
@pytest.mark.parametrize("beats", [1, 3])
@pytest.mark.parametrize("frames", [1, 3])
def test_the_importer_recovers_every_value(beats: int, frames: int, per_beat: bool) -> None:
    """Value and unit of all fourteen standard measurements, exactly as printed."""
    result = measured_strips.strip_result([measured_strips.cycle(180.0 * n) for n in range(beats)])
    ds = source() if frames == 1 else clip()
    (made,) = built(ds, [result], plan=plan("tid5200", per_beat=per_beat))
    expected = {
        quantity.key.split("_")[0]: (
            float(quantity.text(result.measurements[quantity.key].value)),
            quantity.unit.value,
        )
        for quantity in QUANTITIES
        if quantity.key != "RWT"
    }

    assert imported(BytesIO(made.data)) == expected
