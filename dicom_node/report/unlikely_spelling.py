"""Spellings that no language has: what single scripts do not allow, and letters that never meet."""

import re
import unicodedata
from typing import Final

ALPHABETS: Final = (
    frozenset("äöüßéëï"),  # German
    frozenset("àâæçéèêëîïôœùûüÿ"),  # French
    frozenset("áéíóúñüïç"),  # Spanish
    frozenset("áâãàçéêíóôõúüï"),  # Portuguese
    frozenset("àèéìíîòóùú"),  # Italian
    frozenset("àçèéíïòóúü"),  # Catalan
    frozenset("æøåéöäóòôü"),  # Danish, Norwegian
    frozenset("åäöéüáà"),  # Swedish, Finnish
    frozenset("áðéíóúýþæö"),  # Icelandic
    frozenset("äëïöüéèêáíóúàçñ"),  # Dutch
    frozenset("äöüõšž"),  # Estonian
    frozenset("áéíóöúüýäôšž"),  # Irish, Hungarian, Czech, Slovak, as far as Latin-1 and Latin-9 go
    frozenset("çëâê"),  # Albanian, Welsh
    frozenset("çğıöşüâîû\u0307"),  # Turkish; the last is what lower() makes of İ
    frozenset("āčēģīķļņšūžōŗ"),  # Latvian
    frozenset("ąčęėįšųūž"),  # Lithuanian
)
"""The letters beyond ASCII that one language of Latin-1, -4, -5 or -9 has in its names."""
RUSSIAN: Final = frozenset("йщъыьэюяё")
SERBIAN: Final = frozenset("ђјљњћџѓќѕ")
"""Letters of Cyrillic that no language has both of."""
THAI: Final = re.compile("(^|[^ก-ฮ\u0e31\u0e34-\u0e3a\u0e47-\u0e4e])[\u0e30-\u0e3a\u0e45\u0e47-\u0e4e]")
"""A vowel or tone mark without the consonant that it belongs to."""
KANA: Final = re.compile("(^|[^ｳｶ-ﾄﾊ-ﾎ])[ﾞﾟ]")
"""A mark of voice after a syllable that has none."""
CASED: Final = frozenset({"CYRILLIC", "GREEK"})
"""Scripts with capitals, of which every name has one."""


def is_of_no_language(word: str) -> bool:
    """Tell whether a word in Latin script has letters that no language has together, such as ø and á."""
    odd = {each for each in word.lower() if not each.isascii()}
    return not any(alphabet >= odd for alphabet in ALPHABETS)


def is_misspelt(word: str) -> bool:
    """Tell whether a word breaks the rules of a script other than Latin."""
    letters = set(word.lower())
    return bool(
        (letters & RUSSIAN and letters & SERBIAN)
        or THAI.search(word if "ก" <= word[-1] <= "๛" else "")
        or KANA.search(word)
    )


def lacks_capitals(text: str) -> bool:
    """Tell whether a name is in a script with capitals, and has none."""
    scripts = {unicodedata.name(each, "").split(" ")[0] for each in text if each.isalpha()}
    return bool(scripts) and scripts <= CASED and text == text.lower()
