"""The tables of the settings file, one frozen class each. `deploy/echonode.toml` explains every key."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dicom_node.settings.fields import (
    AETitle,
    Charset,
    DatabaseURL,
    Days,
    DestinationName,
    Device,
    Folder,
    Host,
    Megabytes,
    PeerAETitle,
    Seconds,
    SourceHost,
    SRTemplate,
    is_loopback,
)


class Section(BaseModel):
    """A table of the settings file; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeSettings(Section):
    """`[node]`: the DICOM application entity of this machine."""

    ae_title: AETitle = "ECHONODE"
    host: Host = "0.0.0.0"  # noqa: S104 - scanners connect from the network; `peers` restricts them
    port: int = Field(default=11112, ge=0, le=65_535)
    data_dir: Folder = Path("/var/lib/echonode")
    receivers: int = Field(default=1, ge=1, le=64)
    max_associations: int = Field(default=25, ge=1, le=1000)  # per receiver process
    max_associations_per_peer: int = Field(default=10, ge=1, le=1000)  # per host, of all its AE titles
    max_connections_per_host: int = Field(default=32, ge=1, le=1000)
    max_object_mb: Megabytes = 4096
    max_pdu: int = Field(default=131_072, ge=4096, le=1_048_576)
    acse_timeout_s: Seconds = 30.0
    dimse_timeout_s: Seconds = 60.0
    network_timeout_s: Seconds = 120.0
    pdu_timeout_s: Seconds = 30.0
    conflict_status: Literal["success", "duplicate"] = "success"
    drain_seconds: float = Field(default=10.0, ge=0, le=3600, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one_port_for_all(self) -> Self:
        if self.port == 0 and self.receivers > 1:
            raise ValueError("port 0 (any free port) needs receivers = 1")
        return self


class PeerSettings(Section):
    """`[[peers]]`: an application entity, such as a scanner, that may open associations."""

    ae_title: PeerAETitle
    host: SourceHost
    port: int = Field(default=0, ge=0, le=65_535)
    tls: bool = False


class Destination(Section):
    """`[[destinations]]`: an application entity, such as a PACS, to which results are sent."""

    name: DestinationName
    ae_title: AETitle
    host: Host
    port: int = Field(ge=1, le=65_535)
    timeout_s: Seconds = 30.0
    sr: tuple[SRTemplate, ...] = ("tid5200",)
    overlay: bool = True
    presentation_state: bool = False
    commitment: bool = False
    tls: bool = False


class StudySettings(Section):
    """`[study]`: when a study counts as complete."""

    quiet_seconds: Seconds = 30.0
    ceiling_seconds: Seconds = 900.0

    @model_validator(mode="after")
    def _ceiling_above_quiet(self) -> Self:
        if self.ceiling_seconds < self.quiet_seconds:
            raise ValueError("ceiling_seconds must not be less than quiet_seconds")
        return self


class StoreSettings(Section):
    """`[store]`: the database."""

    url: DatabaseURL = "sqlite:///{data_dir}/echonode.db"


class InferenceSettings(Section):
    """`[inference]`: where and with which weights the networks run."""

    device: Device = "auto"
    weights: str = ""


class DeliverySettings(Section):
    """`[delivery]`: retries of sending and of storage commitment."""

    first_retry_s: Seconds = 5.0
    max_retry_s: Seconds = 3600.0
    give_up_hours: float = Field(default=96.0, gt=0, le=8760, allow_inf_nan=False)
    commitment_wait_s: Seconds = 3600.0

    @model_validator(mode="after")
    def _first_below_max(self) -> Self:
        if self.max_retry_s < self.first_retry_s:
            raise ValueError("max_retry_s must not be less than first_retry_s")
        return self


class ReportSettings(Section):
    """`[report]`: content of the results, the same for all destinations."""

    per_beat: bool = False
    overlay_refusals: bool = False
    default_charset: Charset = "ISO_IR 100"


class CodesSettings(Section):
    """`[codes]`: scheme of SNOMED codes in reports, SCT or the retired SRT (PS3.16 8.1)."""

    snomed: Literal["SCT", "SRT"] = "SCT"


class JobSettings(Section):
    """`[job]`: retries and limits of the analysis."""

    max_attempts: int = Field(default=3, ge=1, le=100)
    retry_s: Seconds = 10.0
    image_timeout_s: Seconds = 120.0
    image_memory_mb: Megabytes = 4096


class WebSettings(Section):
    """`[web]`: the port for /healthz and /metrics."""

    host: Host = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65_535)
    user: str = ""
    password_file: str = ""

    @model_validator(mode="after")
    def _open_to_the_network_needs_a_password(self) -> Self:
        if not is_loopback(self.host) and not (self.user and self.password_file):
            raise ValueError("host is not this machine alone: user and password_file must be given")
        return self


class TLSSettings(Section):
    """`[tls]`: certificate of the node, for its TLS port and for destinations and peers with `tls = true`."""

    port: int = Field(default=0, ge=0, le=65_535)  # 0: no TLS port
    certificate: str = ""
    private_key: str = ""
    ca: str = ""
    client_certificates: bool = True

    @property
    def needs_ca(self) -> bool:
        """True when the TLS port verifies client certificates."""
        return self.port > 0 and self.client_certificates

    @model_validator(mode="after")
    def _port_needs_certificate(self) -> Self:
        if self.port > 0 and not (self.certificate and self.private_key):
            raise ValueError("certificate and private_key must be given for a TLS port")
        return self


class DiskSettings(Section):
    """`[disk]`: free space below which associations (soft) or objects (hard) are refused."""

    soft_free_mb: Megabytes = 2048
    hard_free_mb: Megabytes = 512

    @model_validator(mode="after")
    def _hard_below_soft(self) -> Self:
        if self.hard_free_mb > self.soft_free_mb:
            raise ValueError("hard_free_mb must not be more than soft_free_mb")
        return self


class RetentionSettings(Section):
    """`[retention]`: how long files of finished studies are kept (0: forever); rows are never removed."""

    days: Days = 30.0
    once_committed: bool = False


class AuditSettings(Section):
    """`[audit]`: checkpoints, age of sealed rows, and the syslog server."""

    checkpoint_hours: float = Field(default=24.0, gt=0, le=8760, allow_inf_nan=False)
    checkpoint_file: str = ""
    keep_days: Days = 0.0
    syslog_host: str = ""
    syslog_port: int = Field(default=6514, ge=1, le=65_535)
    syslog_ca: str = ""
