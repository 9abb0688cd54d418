"""Values whose borders are too doubtful are withheld; the others stay."""

from collections.abc import Mapping

import pytest
from support.measured_strips import cycle

from inference.errors import LowAgreement
from inference.measure.clinical_limits import Limits
from inference.measure.withholding import FOLLOWS_FROM, too_doubtful
from inference.types import LENGTHS, Value

VALUES = cycle().values


def with_halves(shares: Mapping[str, float]) -> dict[str, Value]:
    """Every value of a beat with an interval of this half width, a share of it; 5 % where none is given."""
    return {
        name: Value(value=value, ci95=(value * (1 - share), value * (1 + share)))
        for name, value in VALUES.items()
        for share in [shares.get(name, 0.05)]
    }


@pytest.mark.parametrize(
    ("doubtful", "withheld"),
    [
        ({}, ()),
        ({"IVSd_cm": 0.59}, ()),
        ({"IVSd_cm": 0.61}, ("IVSd_cm", "LVmass_g")),
        ({"LVPWd_cm": 0.7}, ("LVPWd_cm", "LVmass_g", "RWT")),
        ({"IVSs_cm": 2.0, "LVPWs_cm": 0.61}, ("IVSs_cm", "LVPWs_cm")),
        ({"LVIDs_cm": 0.24}, ()),
        (
            {"LVIDs_cm": 0.26},
            ("LVIDs_cm", "ESV_ml", "SV_ml", "EF_percent", "FS_percent", "CO_l_min"),
        ),
    ],
    ids=str,
)
def test_what_follows_from_a_doubtful_length_is_withheld(
    doubtful: Mapping[str, float], withheld: tuple[str, ...]
) -> None:
    """A hidden septum costs IVSd and the mass; EF needs both diameters and nothing else."""
    assert too_doubtful(with_halves(doubtful)) == withheld


def test_the_bound_is_that_of_the_limits() -> None:
    """A department may ask for more."""
    values = with_halves({"IVSd_cm": 0.3})

    assert too_doubtful(values, Limits(widest_wall=0.25)) == ("IVSd_cm", "LVmass_g")


def test_a_strip_without_any_sure_length_is_refused() -> None:
    """Nothing would be left to report; one sure wall would be."""
    with pytest.raises(LowAgreement, match=r"LVIDd could be 1\.3 to 7\.5 cm"):
        too_doubtful(with_halves(dict.fromkeys(LENGTHS, 0.7)))
    assert "LVPWd_cm" not in too_doubtful(with_halves(dict.fromkeys(LENGTHS, 0.7) | {"LVPWd_cm": 0.1}))


def test_every_value_but_the_rate_follows_from_lengths() -> None:
    """A value that is forgotten in the table would be reported from a border that nobody sees."""
    assert set(FOLLOWS_FROM) == set(VALUES) - {"HR_bpm"}
