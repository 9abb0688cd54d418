# ruff: noqa: E501, RUF001 (one row a line; letters of every script, on purpose)
"""How texts are decoded: by the set that is declared, and by rule where the bytes contradict it."""

from collections import Counter

import pytest

from dicom_node.report.text import (
    CONTRADICTS,
    DOUBTFUL,
    NO_TERM,
    NOT_NAMED,
    OF_ANOTHER,
    TWICE,
    WAS_LOST,
    TextReader,
    numbered,
)

CODECS = {
    "ISO_IR 100": "iso8859_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 203": "iso8859_15",
    "ISO_IR 166": "tis_620",
    "ISO_IR 192": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}
NAMES = {
    "ISO_IR 100": [
        "Müller^Jörg",
        "MÜLLER^JÖRG",
        "André^Éléonore",
        "Muñoz^Íñigo",
        "Sørensen^Åse",
        "Ärzte^Zoë",
    ],
    "ISO_IR 101": ["Wałęsa^Lech", "Dvořák^Antonín"],
    "ISO_IR 109": ["Ħaġar^Ġużeppi"],
    "ISO_IR 110": ["Kļaviņš^Jānis"],
    "ISO_IR 144": ["Иванов^Иван", "ИВАНОВ^ИВАН", "Люкceмбypг"],  # the last one from PS3.5 H.3
    "ISO_IR 127": ["قباني^لنزار"],
    "ISO_IR 126": ["Διονυσιος", "Παπαδόπουλος^Γιώργος"],
    "ISO_IR 138": ["שרון^דבורה"],
    "ISO_IR 148": ["Çavuşoğlu^Gülşen", "Yıldız^İsmail"],
    "ISO_IR 203": ["Lefèbvre^Œdipe", "Müller^Jörg"],
    "ISO_IR 166": ["นามสกุล^ชื่อต้น"],
    "ISO_IR 192": [
        "Müller^Jörg",
        "MÜLLER^JÖRG",
        "Иванов^Иван",
        "Παπαδόπουλος^Γιώργος",
        "王^小东",
        "Wang^XiaoDong=王^小东",
        "山田^太郎",
        "김^희중",
        "สมชาย^ใจดี",
        "Łódź^Żaneta",
    ],
    "GB18030": ["Wang^XiaoDong=王^小东", "李^镕基", "许^小学"],
    "GBK": ["Wang^XiaoDong=王^小东"],
}
"""Names by the set that their bytes are in."""
SINGLE = [label for label in CODECS if label.startswith("ISO_IR")]
LABELS = [
    *CODECS,
    "\\ISO 2022 IR 87",
    "\\ISO 2022 IR 149",
    "\\ISO 2022 IR 58",
    "ISO 2022 IR 13\\ISO 2022 IR 87",
]
ISO_2022 = [  # label, bytes, name
    ("\\ISO 2022 IR 87", "59616d6164615e5461726f753d1b24423b3345441b28425e1b244242404f3a1b2842", "Yamada^Tarou=山田^太郎"),
    ("\\ISO 2022 IR 87", "1b24423b3345441b28425e1b24423d5332701b2842", "山田^俊介"),
    ("\\ISO 2022 IR 87", "1b24423d293b331b28425e1b24423d553b521b2842", "秋山^春子"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "d4cfc0de5ec0dbb33d1b24423b3345441b284a5e1b244242404f3a1b284a", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"),
    ("ISO_IR 13", "d4cfc0de5ec0dbb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ("\\ISO 2022 IR 87\\ISO 2022 IR 159", "1b24284430211b28425e1b244242404f3a1b2842", "丂^太郎"),
    ("\\ISO 2022 IR 149", "486f6e675e47696c646f6e673d1b242943fbf35e1b242943d1ced4d73d1b242943c8ab5e1b242943b1e6b5bf", "Hong^Gildong=洪^吉洞=홍^길동"),
    ("\\ISO 2022 IR 58", "5a68616e675e5869616f446f6e673d1b242941d5c55e1b242941d0a1b6ab", "Zhang^XiaoDong=张^小东"),
    ("ISO 2022 IR 100\\ISO 2022 IR 144", "4df66c6c65725e1b2d4cb8d2d0dd", "Möller^Иван"),
]  # fmt: skip


def read(label: str, data: bytes, default: str = "ISO_IR 100", vr: str = "PN") -> tuple[str, str]:
    """Return the text, and what was wrong with how it was coded."""
    found = TextReader(label.split("\\"), default).read(data, vr)
    assert bool(found.wrong) == bool(found.done)
    return found.text, found.wrong


@pytest.mark.parametrize(("label", "name"), [(label, name) for label in NAMES for name in NAMES[label]])
def test_names_under_their_right_label(label: str, name: str) -> None:
    """Every set is read as it is declared, whatever the site's default, in every VR."""
    for default in ("ISO_IR 100", "ISO_IR 192", "GB18030", label):
        for vr in ("PN", "LO", "LT"):
            assert read(label, name.encode(CODECS[label]), default, vr)[0] == name
    assert read(label, name.encode(CODECS[label]), label)[1] in ("", DOUBTFUL)


@pytest.mark.parametrize(("label", "coded", "name"), ISO_2022)
def test_escape_sequences_come_before_delimiters(label: str, coded: str, name: str) -> None:
    """A kanji may hold the byte of =, ^ or a backslash (PS3.5 6.1.2.5)."""
    told = "" if "1b" in coded else OF_ANOTHER

    assert read(label, bytes.fromhex(coded)) == (name, told)


def test_a_backslash_inside_a_kanji_ends_no_value() -> None:
    """Two values, and a byte 5C that is half a character."""
    value = b"\x1b$B\x3d\x5c\x1b(B\\second"

    assert read("\\ISO 2022 IR 87", value, vr="LO") == (value.decode("iso2022_jp"), "")


@pytest.mark.parametrize("name", NAMES["ISO_IR 100"])
@pytest.mark.parametrize("label", LABELS)
def test_latin_1_under_every_label(label: str, name: str) -> None:
    """The right name, or a repair or doubt that is told; never U+FFFD, and never another name in silence."""
    text, wrong = read(label, name.encode("latin_1"))

    assert text == name or wrong == OF_ANOTHER
    assert "\ufffd" not in text


@pytest.mark.parametrize("name", NAMES["ISO_IR 192"])
@pytest.mark.parametrize("label", [*LABELS, "", "ISO_IR 999"])
def test_utf_8_is_recognised_under_every_label(label: str, name: str) -> None:
    """The commonest mistake of all: texts in UTF-8, and the label of before."""
    text, wrong = read(label, name.encode())

    assert text == name
    assert bool(wrong) is (label != "ISO_IR 192")


def test_every_name_under_every_label() -> None:
    """The table as a whole: none is another name in silence."""
    found: Counter[str] = Counter()
    for of, names in NAMES.items():
        for name in names:
            for label in ["", "ISO_IR 999", *LABELS]:
                text, wrong = read(label, name.encode(CODECS[of]))
                assert "\ufffd" not in text
                found["right" if text == name else "told" if wrong else "silent"] += 1
    print(dict(found))
    assert found["silent"] == 0
    assert found["right"] > 0.9 * found["told"]


TERMS = {
    "ISO_IR 100": ["ISO-IR 100", "ISO_IR_100", "ISO IR 100", "iso_ir 100", "ISO_IR100", "ISO 8859-1", "latin1", "IR 100"],
    "ISO_IR 192": ["ISO_IR_192", "UTF-8", "UTF8", "utf8", "ISO 2022 IR 192", "ISO-IR 192", "UNICODE"],
    "ISO_IR 144": ["ISO_IR_144", "ISO-8859-5", "ISO 8859-5:1988"],
    "GB18030": ["GB-18030", "gb18030", "GB 18030"],
    "ISO_IR 166": ["ISO-IR-166", "ISO_8859-11"],
}  # fmt: skip


@pytest.mark.parametrize(("right", "term"), [(right, term) for right in TERMS for term in TERMS[right]])
def test_misspelt_terms(right: str, term: str) -> None:
    """A term counts by its letters and digits, and the log tells that it is none."""
    for name in NAMES[right]:
        assert read(term, name.encode(CODECS[right]), "ISO_IR 126") == (name, NO_TERM)


@pytest.mark.parametrize("term", ["\\ISO_2022_IR_87", "ISO 2022 IR 87", "\\ISO-2022-IR-87", "\\ISO_IR 87"])
def test_misspelt_terms_of_code_extension(term: str) -> None:
    """As above; a set of two bytes alone begins with ASCII."""
    assert read(term, bytes.fromhex(ISO_2022[1][1]))[0] == "山田^俊介"


def test_text_in_ascii_needs_no_label() -> None:
    """A wrong or missing label changes nothing then, so nothing is told."""
    for label in ("", "ISO_IR 999", "utf8"):
        assert read(label, b"Doe^Jane") == ("Doe^Jane", "")


@pytest.mark.parametrize(
    ("label", "default", "data", "text", "wrong"),
    [
        ("", "ISO_IR 144", "Иванов^Иван".encode("iso8859_5"), "Иванов^Иван", NOT_NAMED),
        ("ISO_IR 999", "ISO_IR 126", "Διονυσιος".encode("iso8859_7"), "Διονυσιος", NO_TERM),
        ("ISO_IR 100", "ISO_IR 144", "Иванов^Иван".encode("iso8859_5"), "Иванов^Иван", DOUBTFUL),
        ("ISO_IR 100", "GB18030", "王^小东".encode("gbk"), "王^小东", DOUBTFUL),
        ("ISO_IR 100", "ISO_IR 100", "O’Neill^Šárka".encode("cp1252"), "O’Neill^Šárka", CONTRADICTS),
        ("ISO_IR 192", "ISO_IR 100", b"M\xfcller^J\xf6rg", "Müller^Jörg", CONTRADICTS),
        ("ISO_IR 192", "ISO_IR 192", b"M\xfcller^J\xf6rg", "M<FC>ller^J<F6>rg", CONTRADICTS),
        ("ISO_IR 192", "ISO_IR 100", "MÃ¼ller".encode(), "Müller", TWICE),
        ("ISO_IR 192", "ISO_IR 100", "M\ufffdller".encode(), "M\ufffdller", WAS_LOST),
        ("ISO_IR 13", "ISO_IR 100", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎".encode("cp932"), "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", CONTRADICTS),
        ("\\ISO 2022 IR 87", "ISO_IR 100", "山田^太郎".encode("cp932"), "山田^太郎", CONTRADICTS),
        ("\\ISO 2022 IR 87", "ISO_IR 100", "山田^太郎".encode("euc_jp"), "山田^太郎", CONTRADICTS),
        ("\\ISO 2022 IR 87", "ISO_IR 100", b"\x1b$B\x7c\x62\x1b(B", "髙", CONTRADICTS),
        ("\\ISO 2022 IR 149", "ISO_IR 100", "김^희중".encode("euc_kr"), "김^희중", CONTRADICTS),
        ("\\ISO 2022 IR 58", "ISO_IR 100", "王^小东".encode("gb2312"), "王^小东", CONTRADICTS),
        ("ISO_IR 100", "ISO_IR 100", bytes.fromhex(ISO_2022[1][1]), "山田^俊介", CONTRADICTS),
        ("", "ISO_IR 192", bytes.fromhex(ISO_2022[1][1]), "山田^俊介", NOT_NAMED),
        ("ISO_IR 101", "ISO_IR 100", "Dvořák".encode("iso8859_2"), "Dvořák", OF_ANOTHER),
        ("ISO_IR 100", "ISO_IR 101", "Dvořák".encode("iso8859_2"), "Dvořák", DOUBTFUL),
        ("ISO_IR 192", "ISO_IR 100", b"\xef\xbb\xbfDoe", "Doe", ""),
    ],
)  # fmt: skip
def test_what_contradicts_its_label(label: str, default: str, data: bytes, text: str, wrong: str) -> None:
    """Repaired by rule; what no rule reads shows its bytes as numbers, and never a letter that it is not."""
    assert read(label, data, default) == (text, wrong)


def test_numbers_of_bytes() -> None:
    """ASCII stays; everything else can be told apart, and back."""
    assert numbered(b"M\xfcl\x1bler") == "M<FC>l<1B>ler"
