"""Copies attributes into a new data set: legal values as they are, others corrected or left out."""

from collections.abc import Sequence
from typing import Final

from pydicom import config
from pydicom.datadict import (
    dictionary_has_tag,
    dictionary_keyword,
    dictionary_VM,
    dictionary_VR,
    tag_for_keyword,
)
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from dicom_node.report.corrections import Corrections
from dicom_node.report.element_values import UnusableElement, Values, values_of
from dicom_node.report.legal import (
    FLOATS,
    INTEGERS,
    MAX_CHARACTERS,
    NUMBERS_AS_TEXT,
    TEXTS,
    allows,
    fault_of,
    is_complete,
)
from dicom_node.report.rewriting import rewritten, shown
from dicom_node.report.source_attributes import (
    FILLER_NUMBER,
    KEPT_ELSEWHERE,
    ONLY_ITEMS,
    TYPE_2,
    WHOLE,
)
from dicom_node.report.text import TextReader
from inference.image.attributes import MALFORMED, attribute

MAX_DEPTH: Final = 4
"""Sequences within sequences that are copied; those of the standard's modules have no more."""
CHARACTER_SET: Final = "SpecificCharacterSet"


class LegalCopy:
    """Copies attributes of one data set.

    Args:
        reader: of its texts.
        default_charset: for items with a character set of their own.
        corrections: collects what was not legal.
        path: of the sequence that the data set is an item of.
        depth: of that sequence.
    """

    def __init__(
        self,
        reader: TextReader,
        default_charset: str,
        corrections: Corrections,
        path: str = "",
        depth: int = 0,
    ) -> None:
        self._reader, self._default_charset = reader, default_charset
        self._corrections, self._path, self._depth = corrections, path, depth

    def attribute(self, source: Dataset, to: Dataset, keyword: str) -> None:
        """Copy one attribute, if the source has it and its value can be made legal."""
        tag = Tag(tag_for_keyword(keyword) or 0)
        if tag not in source:
            return
        vr = str(dictionary_VR(tag))
        try:
            values = values_of(source, tag, vr, self._reader)
            if vr == "SQ":
                self._add(to, tag, vr, self._items(values.values, keyword))
            elif vr in TEXTS:
                self._texts(to, tag, values)
            else:
                self._add(to, tag, vr, _plain(values.values, vr, tag))
        except UnusableElement as error:
            self._lose(keyword, str(error))
        except MALFORMED:
            self._lose(keyword, f"not readable as {vr}")

    def _texts(self, to: Dataset, tag: BaseTag, found: Values) -> None:
        """Copy texts, corrected where they are not legal; what cannot be is quoted in a comment, or lost."""
        keyword, vr = dictionary_keyword(tag), str(dictionary_VR(tag))
        if found.reading is not None:
            self._note(keyword, found.reading.wrong, found.reading.done, of_charset=True)
        texts = found.values
        fault = "" if _are_so_many(texts, tag) else f"{len(texts)} values"
        legal = [] if fault else [self._legal(keyword, vr, text) for text in texts]
        faults = [wrong for _, wrong in legal if wrong]
        if fault or faults:
            self._replace(to, keyword, fault or faults[0], "\\".join(texts))
        else:
            self._add(to, tag, vr, [text for text, _ in legal])

    def _legal(self, keyword: str, vr: str, text: str) -> tuple[str, str]:
        """Return the text or a rewritten one, and what is wrong with it if there is none."""
        wrong = fault_of(keyword, vr, text)
        if not wrong:
            return text, ""
        other, done = rewritten(keyword, vr, text)
        if not done or fault_of(keyword, vr, other):
            return text, wrong
        self._note(keyword, wrong, f"{done} control characters" if done == "written without" else done)
        return other, ""

    def _replace(self, to: Dataset, keyword: str, wrong: str, text: str) -> None:
        """Keep an identifier where it fits, and a height for the report's text; lose anything else."""
        where = KEPT_ELSEWHERE.get(keyword)
        if keyword == "PatientSize" and wrong == "not a height in metres":
            self._add(to, Tag(keyword), "DS", [text])
            self._lose(keyword, wrong)
        elif where is None:
            self._lose(keyword, wrong)
        elif keyword == "AccessionNumber" and not fault_of(FILLER_NUMBER, "LO", text) and "\\" not in text:
            self._add(to, Tag(FILLER_NUMBER), "LO", [text])
            self._note(keyword, wrong, f"left empty, and kept in {FILLER_NUMBER}")
        else:
            most = MAX_CHARACTERS["LT"]
            quoted = "; ".join(filter(None, (to.get(where), f"{keyword} of the source image: {shown(text)}")))
            self._add(to, Tag(where), "LT", [quoted[:most]])
            cut = f", cut to {most} characters" if len(quoted) > most else ""
            self._note(keyword, wrong, f"left empty, and kept in {where}{cut}")

    def _items(self, items: Sequence[object], keyword: str) -> list[Dataset]:
        """Return the items of a sequence with what is legal in them.

        Raises:
            UnusableElement: it is no sequence, or one that is copied whole has a fault.
        """
        if not all(isinstance(item, Dataset) for item in items):
            raise UnusableElement("no sequence")
        if self._depth >= MAX_DEPTH:
            raise UnusableElement("too many sequences within sequences")
        inside = Corrections() if keyword in WHOLE else self._corrections
        copies = [self._item(item, keyword, inside) for item in items if isinstance(item, Dataset)]
        if keyword in WHOLE and len(inside):
            raise UnusableElement(f"{next(iter(inside)).keyword} {next(iter(inside)).wrong}")
        whole = [copy for copy in copies if is_complete(copy, keyword)]
        if len(whole) < len(copies):
            self._note(keyword, "an item without what it must have", "that item left out")
        if copies and not whole:
            raise UnusableElement("no item left")
        return whole

    def _item(self, item: Dataset, keyword: str, corrections: Corrections) -> Dataset:
        """Return a copy of one item, without private and unknown elements."""
        own = attribute(item, CHARACTER_SET)
        reader = TextReader(own, self._default_charset) if own else self._reader
        path = f"{self._path}{keyword}."
        copier = LegalCopy(reader, self._default_charset, corrections, path, self._depth + 1)
        copy = Dataset()
        for tag in sorted(item.keys()):
            name = dictionary_keyword(tag) if dictionary_has_tag(tag) else ""
            if name and name != CHARACTER_SET and name in ONLY_ITEMS.get(keyword, (name,)):
                copier.attribute(item, copy, name)
        return copy

    def _add(
        self, to: Dataset, tag: BaseTag, vr: str, values: list[object] | list[Dataset] | list[str]
    ) -> None:
        value = values if vr == "SQ" or len(values) > 1 else values[0] if values else None
        if value == "" and vr in NUMBERS_AS_TEXT:
            value = None
        to.add(DataElement(tag, vr, value, validation_mode=config.IGNORE))

    def _lose(self, keyword: str, wrong: str) -> None:
        self._note(keyword, wrong, "left empty" if keyword in TYPE_2 else "left out")

    def _note(self, keyword: str, wrong: str, done: str, *, of_charset: bool = False) -> None:
        self._corrections.add(f"{self._path}{keyword}", wrong, done, of_charset=of_charset)


def _plain(values: list[object], vr: str, tag: BaseTag) -> list[object]:
    """Return numbers, tags or bytes if they are what the VR holds."""
    kinds = (int, float) if vr in INTEGERS or vr in FLOATS else (int,) if vr == "AT" else (bytes,)
    if not all(isinstance(each, kinds) for each in values):
        raise UnusableElement(f"not readable as {vr}")
    if values and not isinstance(values[0], bytes) and not allows(str(dictionary_VM(tag)), len(values)):
        raise UnusableElement(f"{len(values)} values")
    return values


def _are_so_many(texts: Sequence[str], tag: BaseTag) -> bool:
    return texts in ([], [""]) or allows(str(dictionary_VM(tag)), len(texts))
