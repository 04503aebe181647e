"""The configuration of the dealer: a file of JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dynamo.dataformat import Configuration, ConfigurationError


class PluginConfig(BaseModel):
    """A plugin, `file:Class` of `dynamo.dealer.plugins`; a smaller priority is drawn more often, 0 always first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    module: str = Field(pattern=r"^[a-z][a-z0-9_]*:[A-Za-z][A-Za-z0-9_]*$")
    priority: int = Field(default=0, ge=0)
    config: dict[str, Any] = Field(default_factory=dict)


class DealerConfig(BaseModel):
    """Where and how much is copied in a cycle.  Fractions are of a site's quota, the volume is in TB.

    `target_sites` are patterns; `!` before one excludes; the last one that fits counts.  `attrs` is a file with
    attributes of datasets.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    partition_name: str
    group_name: str
    target_sites: list[str] = ["*"]
    target_site_occupancy: float = Field(default=0.9, gt=0)
    max_site_pending_fraction: float = Field(default=0.1, gt=0)
    max_total_cycle_volume: float = Field(default=100.0, gt=0)
    plugins: dict[str, PluginConfig]
    attrs: str | None = None


def read_dealer_config(path: Path) -> DealerConfig:
    """Raises ConfigurationError, with the path of the key that is wrong."""
    try:
        return DealerConfig.model_validate(json.loads(Configuration(path).dump_json()))
    except ValidationError as error:
        reasons = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()
        )
        raise ConfigurationError(f"Configuration {path} is wrong: {reasons}") from None
