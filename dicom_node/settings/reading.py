"""Reading of the TOML file, detection of unknown environment variables, and texts of validation errors."""

import tomllib
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel

from dicom_node.errors import SettingsError

ENV_PREFIX = "ECHONODE_"


def read_toml(path: Path | None) -> dict[str, Any]:
    """Return the parsed file; an empty dictionary without one.

    Raises:
        SettingsError: the file cannot be read or is not TOML.
    """
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a TOML file: {error}") from error


def unknown_variables(environ: Mapping[str, str], sections: Container[str]) -> Iterator[str]:
    """Yield an error for each `ECHONODE_` variable of an unknown section; pydantic-settings ignores those."""
    for name in sorted(environ):
        section = name.upper().removeprefix(ENV_PREFIX).split("__")[0].lower()
        if name.upper().startswith(ENV_PREFIX) and section not in sections:
            yield f"{name}: not a setting; allowed is {ENV_PREFIX}SECTION__KEY, such as ECHONODE_NODE__PORT"


def sentence(model: type[BaseModel], detail: Mapping[str, Any]) -> str:
    """Return one of pydantic's errors (`ValidationError.errors()`) as a line: key, value, what is allowed."""
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).strip(".")
    message = detail["msg"].removeprefix("Value error, ").replace("Input should", "should")
    if detail["type"] == "extra_forbidden":
        allowed = ", ".join(_fields_at(model, detail["loc"][:-1]))
        return f"{key} = {detail['input']!r}: not a setting; allowed are {allowed}"
    if detail["type"] == "missing":
        return f"{key}: missing, must be given"
    if isinstance(detail["input"], dict | BaseModel):
        return f"{key}: {message}".removeprefix(": ")
    return f"{key} = {str(detail['input'])!r}: {message}"


def _fields_at(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Return the names of the keys allowed in the table at `location`."""
    for part in location:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = cast("type[BaseModel]", next(iter(get_args(annotation)), annotation))
    return list(model.model_fields)
