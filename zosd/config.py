"""The configuration of `zosd`: one TOML file, every key also as `ZOS_<SECTION>_<KEY>` in the environment.

Unknown keys are an error that names the nearest known one.  Everything has a default except `paths`, so the
smallest file is::

    [paths]
    state = "/var/lib/zosd"

A node of the development grid::

    [node]
    key = "/var/lib/zos-grid/dev/node-1/key"     # hex seed or mnemonic, 0600, rmb-peer's too; made when missing
    farm = 1                                     # farm id on the chain; 0: the node never registers by itself
    null = false                                 # true: null provisioners, nothing is made on the machine
    country = "Belgium"
    city = "Gent"
    longitude = "3.72"
    latitude = "51.05"

    [paths]
    state = "/var/lib/zos-grid/dev/node-1/state" # durable: journal, owner files
    cache = "/var/lib/zos-grid/dev/node-1/cache" # may be lost
    run = "/run/z1"                              # volatile, short (sockets), empty after a reboot
    log = "/var/lib/zos-grid/dev/node-1/log"

    [bus]
    redis = "unix:///run/z1/redis.sock"          # or redis://host:port/0

    [chain]
    urls = ["ws://10.99.0.254:9944"]             # tried in order, the next one when one is behind or down
    activation = "http://10.99.0.254:9944/activation"

    [network]
    uplink = "eth0"                              # interface that becomes a port of the bridge `zos`
    public_nic = ""                              # second interface for public addresses; "" = same as uplink
    mtu = 0                                      # 0 = as the uplink
    open_prefixes = []                           # LAN prefixes that guests may reach (decision 36)
    yggdrasil_peers = ["tcp://10.99.0.254:9943"]
    yggdrasil_multicast = false

    [storage]
    disks = ["/dev/loop10", "/dev/loop11"]       # only these are ever formatted, only when blank
    classes = { "/dev/loop11" = "hdd" }          # overrides the probed class (decision 64)

    [images]
    allow_hosts = ["10.99.0.254"]                # guarded hosts that may be fetched from
    file_root = ""                               # file:// only below this folder; "" = none

    [machine]
    accelerator = "auto"                         # "auto" probes; "tcg" does not look for KVM
    require_kvm = false                          # the node refuses to start without proven KVM
    kernel = "/var/cache/zos/guest/vmlinuz"
    initrd = "/var/cache/zos/guest/initrd"

The other sections (`engine`, `reports`, `capacity`, `kyc`, `metrics`, `log`, `faults`) are for tuning and tests;
see the classes below.  All times are seconds, all sizes bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rmb import settings
from rmb.settings import Section

Seconds = Annotated[float, Field(gt=0, le=7 * 86400)]


class NodeSection(Section):
    """Who the node is."""

    key: Path | None = None
    """File of the node's secret key; default `<state>/key`."""
    farm: int = Field(default=0, ge=0, le=2**32 - 1)
    null: bool = False
    """Serve with null provisioners: everything is recorded, nothing is made."""
    country: str = "Unknown"
    city: str = "Unknown"
    longitude: str = "Unknown"
    latitude: str = "Unknown"
    continent: str = "Unknown"
    country_code: str = Field(default="", max_length=2)
    """Two letters (ISO 3166)."""
    light: bool = False
    """Serve as a light node: light workload types, no public addresses.  Needs `null`, as real light types do not
    exist yet."""
    admins: tuple[Annotated[int, Field(gt=0, le=2**32 - 1)], ...] = Field(default=(), max_length=64)
    """Twins that may call `zos.debug.*`; nobody by default."""
    serial: str = ""
    """Board serial for the node object; "" = read from the firmware, none when unreadable."""
    relays: tuple[str, ...] = ()
    """Relay host names for the twin (generation 2 of the bus); none in generation 1."""

    @model_validator(mode="after")
    def _light_is_null(self) -> Self:
        if self.light and not self.null:
            raise ValueError("light needs null = true: this version has no real light types")
        return self


class PathsSection(Section):
    """Folders; made when missing."""

    state: Path
    cache: Path | None = None
    """Default `<state>/cache`."""
    run: Path | None = None
    """Default `/run/zosd`; has to be short, Unix sockets in it are limited to 107 bytes."""
    log: Path | None = None
    """Default `<state>/log`."""


class BusSection(Section):
    redis: str = "unix:///run/zosd/redis.sock"


class ChainSection(Section):
    urls: tuple[str, ...] = ()
    """WebSocket addresses; empty: the node runs without a chain (every deployment waits for its check)."""
    activation: str = ""
    """Activation service for an account without funds; "" = none."""
    terms_link: str = "http://zos.tf/terms/v0.1"
    terms_hash: str = "9021d4dee05a661e2cb6838152c67f25"


class NetworkSection(Section):
    uplink: str = ""
    public_nic: str = ""
    mtu: int = Field(default=0, ge=0, le=65535)
    open_prefixes: tuple[str, ...] = ()
    yggdrasil_peers: tuple[str, ...] = ()
    yggdrasil_multicast: bool = False


class StorageSection(Section):
    disks: tuple[Path, ...] = ()
    classes: dict[str, Literal["ssd", "hdd"]] = Field(default_factory=dict)


class ImagesSection(Section):
    allow_hosts: tuple[str, ...] = ()
    file_root: str = ""


class MachineSection(Section):
    accelerator: Literal["auto", "tcg"] = "auto"
    """`auto`: KVM where a tiny guest really boots under it; `tcg`: without looking."""
    require_kvm: bool = False
    gpus: bool = True
    """Offer the graphics cards of the machine."""
    kernel: Path = Path("/var/cache/zosd/guest/vmlinuz")
    initrd: Path = Path("/var/cache/zosd/guest/initrd")
    """Both lie in one folder with their `manifest.json`, as `python -m images.guest` leaves them."""

    @property
    def guest(self) -> Path:
        """The folder of kernel, initrd and manifest."""
        return self.kernel.parent

    @model_validator(mode="after")
    def _one_folder(self) -> Self:
        if (self.kernel.name, self.initrd) != ("vmlinuz", self.guest / "initrd"):
            raise ValueError(
                f"kernel {self.kernel} and initrd {self.initrd} have to be vmlinuz and initrd of one folder"
            )
        return self


class EngineSection(Section):
    parallel: int = Field(default=16, ge=1, le=256)
    """Acts on the machine at the same time, over all deployments."""
    provision_timeout: Seconds = 900
    act_timeout: Seconds = 180
    """Limit of every act other than provision and update."""
    retry_min: Seconds = 1
    retry_max: Seconds = 300
    watchdog_period: Seconds = 30
    job_age_limit: Seconds = 1800
    """A job without progress for this long is started anew by the watchdog."""
    adopt_timeout: Seconds = 60
    """The bus is served at the latest after this time, also when adoption is not finished."""


class PowerSection(Section):
    off: tuple[str, ...] = ()
    """Command that switches the machine off when its farmer wants it down; "" = never.  Only where it can be woken."""


class ReportsSection(Section):
    uptime_period: Seconds = 2400
    traffic_period: Seconds = 3600
    retry: Seconds = 30
    """A skipped or failed report is tried again after this time (below a minute, decision 58)."""
    compare_period: Seconds = 3600
    """Full comparison of the chain's contracts with the journal."""
    refresh_period: Seconds = 86400
    """The node object on the chain is compared and refreshed."""
    look_again: Seconds = 20
    """How long a contract that the chain does not show yet is looked for within one call (decision 1)."""


class CapacitySection(Section):
    """What the node offers; 0 = measured.  Set in grids whose nodes share one machine."""

    cru: int = Field(default=0, ge=0)
    mru: int = Field(default=0, ge=0)
    sru: int = Field(default=0, ge=0)
    hru: int = Field(default=0, ge=0)


class KycSection(Section):
    url: str = ""
    """Base address of the verification service; "" = no check (decision 3)."""


class MetricsSection(Section):
    listen: str = ""
    """`address:port` for Prometheus; "" = not served."""


class LogSection(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool = False
    """One JSON object a line; default: for people on a terminal, JSON elsewhere."""


class FaultsSection(Section):
    """For tests only: die at a named point (see `zosd.points`)."""

    kill_at: str = ""
    """`<point>` or `<point>#<n>`: SIGKILL to itself when the point is reached for the n-th time."""
    record: str = ""
    """File to which every reached point is appended, one a line."""


class Config(Section):
    node: NodeSection = Field(default_factory=NodeSection)
    paths: PathsSection
    bus: BusSection = Field(default_factory=BusSection)
    chain: ChainSection = Field(default_factory=ChainSection)
    network: NetworkSection = Field(default_factory=NetworkSection)
    storage: StorageSection = Field(default_factory=StorageSection)
    images: ImagesSection = Field(default_factory=ImagesSection)
    machine: MachineSection = Field(default_factory=MachineSection)
    engine: EngineSection = Field(default_factory=EngineSection)
    power: PowerSection = Field(default_factory=PowerSection)
    reports: ReportsSection = Field(default_factory=ReportsSection)
    capacity: CapacitySection = Field(default_factory=CapacitySection)
    kyc: KycSection = Field(default_factory=KycSection)
    metrics: MetricsSection = Field(default_factory=MetricsSection)
    log: LogSection = Field(default_factory=LogSection)
    faults: FaultsSection = Field(default_factory=FaultsSection)


def load(path: Path | None) -> Config:
    """Read the configuration file at `path` and the environment.  Raises rmb.settings.SettingsError."""
    return settings.load(Config, path)
