"""The settings: one TOML file and `ECHONODE_...` environment variables, validated once and frozen."""

import os
from pathlib import Path
from typing import Self

import pydantic_settings
from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from dicom_node.errors import SettingsError
from dicom_node.settings.reading import ENV_PREFIX, read_toml, sentence, unknown_variables
from dicom_node.settings.sections import (
    AuditSettings,
    CodesSettings,
    DeliverySettings,
    Destination,
    DiskSettings,
    InferenceSettings,
    JobSettings,
    NodeSettings,
    PeerSettings,
    ReportSettings,
    RetentionSettings,
    StoreSettings,
    StudySettings,
    TLSSettings,
    WebSettings,
)


class Settings(BaseSettings):
    """All settings by the tables of the file; keys without a default belong to peers and destinations."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter="__"
    )

    node: NodeSettings = NodeSettings()
    peers: tuple[PeerSettings, ...] = ()
    destinations: tuple[Destination, ...] = ()
    study: StudySettings = StudySettings()
    store: StoreSettings = StoreSettings()
    inference: InferenceSettings = InferenceSettings()
    delivery: DeliverySettings = DeliverySettings()
    report: ReportSettings = ReportSettings()
    codes: CodesSettings = CodesSettings()
    job: JobSettings = JobSettings()
    web: WebSettings = WebSettings()
    tls: TLSSettings = TLSSettings()
    disk: DiskSettings = DiskSettings()
    retention: RetentionSettings = RetentionSettings()
    audit: AuditSettings = AuditSettings()

    @model_validator(mode="after")
    def _destination_names_differ(self) -> Self:
        names = [destination.name for destination in self.destinations]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"destinations: the names must differ, used twice: {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _tls_needs_its_files(self) -> Self:
        if self.tls.needs_ca and not self.tls.ca:
            raise ValueError("tls.ca: must be given, or tls.client_certificates be false")
        if not self.tls.ca and any(destination.tls for destination in self.destinations):
            raise ValueError("tls.ca: must be given, because a destination has tls = true")
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
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - no .env file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file, key by key."""
        return env_settings, init_settings

    @classmethod
    def load(cls, path: Path | None) -> "Settings":
        """Read the file (None: defaults) and the environment.

        Raises:
            SettingsError: one line per mistake: key, value, what is allowed.
        """
        mistakes = list(unknown_variables(os.environ, cls.model_fields))
        try:
            settings = cls(**read_toml(path))
        except ValidationError as error:
            mistakes += [sentence(cls, detail) for detail in error.errors()]
        except pydantic_settings.SettingsError as error:
            mistakes.append(f"environment: {error}")
        if mistakes:
            raise SettingsError("\n".join(mistakes))
        return settings
