"""One TOML file and `ECHONODE_...` environment variables, validated once and frozen."""

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast, get_args

import pydantic_settings
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydicom.charset import python_encoding

from dicom_node.errors import SettingsError

ENV_PREFIX = "ECHONODE_"
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?")


def _matches(pattern: str, allowed: str) -> AfterValidator:
    """A text that fits `pattern`; `allowed` says so in words."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {allowed}")
        return text

    return AfterValidator(check)


def _ae_title(text: str) -> str:
    """PS3.5 6.2, VR AE: up to 16 characters of the default repertoire, outer spaces insignificant."""
    title = text.strip(" ")
    if not (1 <= len(title) <= 16 and title.isascii() and title.isprintable() and "\\" not in title):  # noqa: PLR2004 - PS3.5 6.2
        raise ValueError("an AE title has 1 to 16 printable ASCII characters and no backslash")
    return title


def _host(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not _HOST_NAME.fullmatch(text):
            raise ValueError("must be a host name or an IP address") from None
    return text


def _source_host(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        if not _HOST_NAME.fullmatch(text):
            raise ValueError("must be a host name, an IP address or a network such as 192.0.2.0/24") from None
    return text


def _charset(term: str) -> str:
    """PS3.3 C.12.1.1.2: a defined term for one character set."""
    if term not in python_encoding or not term:
        raise ValueError("must be a defined term of SpecificCharacterSet, such as ISO_IR 100 or GB18030")
    return term


def _folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise ValueError("must be a folder, or a path where one can be made")
    return path.expanduser().absolute()


DestinationName = Annotated[
    str, _matches(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 letters, digits, dots, dashes or underscores")
]
DatabaseURL = Annotated[str, _matches(r"sqlite:///(?!:memory:).+", "sqlite:///FILE, on a local disk")]
Device = Annotated[str, _matches(r"auto|cpu|cuda(:\d+)?", "auto, cpu, cuda or cuda:N")]
AETitle = Annotated[str, AfterValidator(_ae_title)]
Host = Annotated[str, AfterValidator(_host)]
Charset = Annotated[str, AfterValidator(_charset)]
SRTemplate = Literal["tid5200", "tid1500", "tid5300"]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


class Section(BaseModel):
    """A table of the settings file: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Node(Section):
    """`[node]`: the DICOM side of this machine."""

    ae_title: AETitle = "ECHONODE"
    host: Host = "0.0.0.0"  # noqa: S104 - scanners come from the network; `peers` says which
    port: int = Field(default=11112, ge=0, le=65_535)
    data_dir: Annotated[Path, AfterValidator(_folder)] = Path("/var/lib/echonode")
    receivers: int = Field(default=1, ge=1, le=64)
    max_associations: int = Field(default=25, ge=1, le=1000)  # per receiver process
    max_pdu: int = Field(default=131_072, ge=4096, le=1_048_576)
    acse_timeout_s: Seconds = 30.0
    dimse_timeout_s: Seconds = 60.0
    network_timeout_s: Seconds = 120.0
    drain_seconds: float = Field(default=10.0, ge=0, le=3600, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_port_for_all(self) -> Self:
        if self.port == 0 and self.receivers > 1:
            raise ValueError("port 0 (any free port) needs receivers = 1")
        return self


class Peer(Section):
    """`[[peers]]`: a scanner that may connect."""

    ae_title: AETitle
    host: Annotated[str, AfterValidator(_source_host)]


class Destination(Section):
    """`[[destinations]]`: a PACS that gets the results."""

    name: DestinationName
    ae_title: AETitle
    host: Host
    port: int = Field(ge=1, le=65_535)
    timeout_s: Seconds = 30.0
    sr: tuple[SRTemplate, ...] = ("tid5200",)
    overlay: bool = True
    presentation_state: bool = False


class Study(Section):
    """`[study]`: when a study counts as complete."""

    quiet_seconds: Seconds = 30.0
    ceiling_seconds: Seconds = 900.0

    @model_validator(mode="after")
    def _ceiling_above_quiet(self) -> Self:
        if self.ceiling_seconds < self.quiet_seconds:
            raise ValueError("ceiling_seconds must not be less than quiet_seconds")
        return self


class Store(Section):
    """`[store]`: the database."""

    url: DatabaseURL = "sqlite:///{data_dir}/echonode.db"


class Inference(Section):
    """`[inference]`: where and with which weights the networks run."""

    device: Device = "auto"
    weights: str = ""


class Delivery(Section):
    """`[delivery]`: how long a PACS is asked again."""

    max_attempts: int = Field(default=100, ge=1, le=1000)
    first_retry_s: Seconds = 5.0
    max_retry_s: Seconds = 3600.0

    @model_validator(mode="after")
    def _first_below_max(self) -> Self:
        if self.max_retry_s < self.first_retry_s:
            raise ValueError("max_retry_s must not be less than first_retry_s")
        return self


class Report(Section):
    """`[report]`: what the results say, to all destinations alike."""

    per_beat: bool = False
    overlay_refusals: bool = False
    default_charset: Charset = "ISO_IR 100"


class Codes(Section):
    """`[codes]`: SNOMED codes as they are now (SCT), or as long-installed importers know them (SRT)."""

    snomed: Literal["SCT", "SRT"] = "SCT"


class Job(Section):
    """`[job]`: how often a study is analysed before it is given up."""

    max_attempts: int = Field(default=3, ge=1, le=100)
    retry_s: Seconds = 10.0


class Web(Section):
    """`[web]`: the read-only page."""

    host: Host = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)


class Settings(BaseSettings):
    """Everything an administrator can set; every key has a default except the destinations' own."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter="__"
    )

    node: Node = Node()
    peers: tuple[Peer, ...] = ()
    destinations: tuple[Destination, ...] = ()
    study: Study = Study()
    store: Store = Store()
    inference: Inference = Inference()
    delivery: Delivery = Delivery()
    report: Report = Report()
    codes: Codes = Codes()
    job: Job = Job()
    web: Web = Web()

    @model_validator(mode="after")
    def _destination_names_differ(self) -> Self:
        names = [destination.name for destination in self.destinations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"destinations: the names must differ, used twice: {', '.join(twice)}")
        return self

    @property
    def store_url(self) -> str:
        """The database URL with `{data_dir}` filled in."""
        return self.store.url.replace("{data_dir}", str(self.node.data_dir))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - no .env: one file, one truth
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment overrides the file, key by key."""
        return env_settings, init_settings

    @classmethod
    def load(cls, path: Path | None) -> "Settings":
        """Read the file (None: defaults) and the environment.

        Raises:
            SettingsError: one line per mistake: key, value, what is allowed.
        """
        mistakes = list(_unknown_variables(os.environ))
        try:
            settings = cls(**_read_toml(path))
        except ValidationError as error:
            mistakes += [_sentence(cls, detail) for detail in error.errors()]
        except pydantic_settings.SettingsError as error:
            mistakes.append(f"environment: {error}")
        if mistakes:
            raise SettingsError("\n".join(mistakes))
        return settings


def _read_toml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a TOML file: {error}") from error


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Catch misspelt sections; pydantic-settings lets those pass in silence."""
    for name in sorted(environ):
        section = name.upper().removeprefix(ENV_PREFIX).split("__")[0].lower()
        if name.upper().startswith(ENV_PREFIX) and section not in Settings.model_fields:
            yield f"{name}: not a setting; allowed is {ENV_PREFIX}SECTION__KEY, such as ECHONODE_NODE__PORT"


def _sentence(model: type[BaseModel], detail: Mapping[str, Any]) -> str:
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
    """Names of the keys that the table at `location` may hold."""
    for part in location:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = cast("type[BaseModel]", next(iter(get_args(annotation)), annotation))
    return list(model.model_fields)
