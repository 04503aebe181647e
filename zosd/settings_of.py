"""Parts of the configuration in the shape in which the daemon's parts want them."""

from __future__ import annotations

from pathlib import Path

from provisioners.protocol import NodePaths
from zosd.accept.kyc import Kyc, KycService, NoKyc
from zosd.config import Config
from zosd.engine.acts import Limits
from zosd.engine.backoff import Backoff
from zosd.engine.engine import EngineSettings
from zosd.points import Hook, both, kill_at, nothing, record_to


def paths(config: Config) -> NodePaths:
    """The node's folders; made when missing.  Raises OSError."""
    section = config.paths
    found = NodePaths(
        state=section.state,
        cache=section.cache or section.state / "cache",
        run=section.run or Path("/run/zosd"),
        log=section.log or section.state / "log",
    )
    # QEMU and unpackers run as users of their own and have to pass through these two.
    passable = (found.run, found.cache)
    for folder in (found.state, found.cache, found.run, found.log):
        folder.mkdir(parents=True, exist_ok=True, mode=0o711 if folder in passable else 0o700)
    return found


def hook(config: Config) -> Hook:
    """Raises ValueError for a kill point that cannot be counted."""
    chosen: Hook = nothing
    if config.faults.record:
        chosen = record_to(Path(config.faults.record))
    if config.faults.kill_at:
        chosen = both(chosen, kill_at(config.faults.kill_at))
    return chosen


def kyc(config: Config) -> Kyc:
    return KycService(config.kyc.url) if config.kyc.url else NoKyc()


def engine(config: Config) -> EngineSettings:
    section = config.engine
    return EngineSettings(
        parallel=section.parallel,
        limits=Limits(section.provision_timeout, section.act_timeout),
        backoff=Backoff(section.retry_min, section.retry_max),
    )
