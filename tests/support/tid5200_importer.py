"""An importer that knows TID 5200 and nothing of this program: written from PS3.16, for tests."""

from pydicom import Dataset, dcmread

NAMES = {
    ("18154-5", "LN"): "IVSd",
    ("29436-3", "LN"): "LVIDd",
    ("18152-9", "LN"): "LVPWd",
    ("18158-6", "LN"): "IVSs",
    ("29438-9", "LN"): "LVIDs",
    ("18156-0", "LN"): "LVPWs",
    ("18051-3", "LN"): "FS",
    ("18026-5", "LN"): "EDV",
    ("18148-7", "LN"): "ESV",
    ("90096001", "SCT"): "SV",
    ("18043-0", "LN"): "EF",
    ("18087-7", "LN"): "LVmass",
    ("8867-4", "LN"): "HR",
    ("82799009", "SCT"): "CO",
}


def key(item: Dataset, keyword: str = "ConceptNameCodeSequence") -> tuple[str, str]:
    """Return value and scheme of a coded concept."""
    code = item[keyword].value[0]
    return code.CodeValue, code.CodingSchemeDesignator


def imported(path: object) -> dict[str, tuple[float, str]]:
    """Return (value, unit) by name: of the left ventricle, the chosen value where there are several."""
    report, found = dcmread(path), {}
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "5200"
    for section in (c for c in report.ContentSequence if key(c) == ("59776-5", "LN")):
        coded = [c for c in section.ContentSequence if c.ValueType == "CODE"]
        modifiers = {key(c): key(c, "ConceptCodeSequence") for c in coded}
        assert modifiers[("363698007", "SCT")] == ("87878005", "SCT")
        for group in (c for c in section.ContentSequence if key(c) == ("125007", "DCM")):
            for item in (c for c in group.ContentSequence if c.ValueType == "NUM" and key(c) in NAMES):
                chosen = any(key(c) == ("121404", "DCM") for c in item.ContentSequence)
                measured = item.MeasuredValueSequence[0]
                unit = key(measured, "MeasurementUnitsCodeSequence")[0]
                if chosen or NAMES[key(item)] not in found:
                    found[NAMES[key(item)]] = (float(measured.NumericValue), unit)
    return found
