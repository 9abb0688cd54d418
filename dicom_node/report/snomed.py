"""The retired SRT values of SNOMED codes, which older importers need (PS3.16 8.1)."""

from collections.abc import Mapping
from typing import Final

from pydicom.dataset import Dataset

SRT: Final[Mapping[str, str]] = {
    "118565006": "G-D705",
    "118586006": "G-D750",
    "258104002": "R-41D41",
    "272518008": "R-4089A",
    "363698007": "G-C0E3",
    "370129005": "G-C036",
    "371885007": "R-00362",
    "371886008": "R-00364",
    "373098007": "R-00317",
    "399155008": "G-0394",
    "399264008": "G-0373",
    "416190007": "R-FAB5C",
    "416430001": "R-FAB5B",
    "433236007": "P5-B3012",
    "44324008": "PA-50030",
    "82799009": "F-32100",
    "87878005": "T-32600",
    "90096001": "F-32120",
}
"""SRT code value by SCT code value; the code meanings are the same."""


def use_retired_codes(item: Dataset) -> None:
    """Replace the SCT codes of concept names and values in a content tree by SRT codes, in place."""
    for keyword in ("ConceptNameCodeSequence", "ConceptCodeSequence"):
        for code in item.get(keyword, []):
            if code.CodingSchemeDesignator == "SCT":
                code.CodingSchemeDesignator, code.CodeValue = "SRT", SRT[code.CodeValue]
    for child in item.get("ContentSequence", []):
        use_retired_codes(child)
