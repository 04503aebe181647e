"""`zos.location.get`: where the node stands, as its owner wrote it down; no outside service is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import rmb
from zosd.api.table import Handler
from zosd.config import NodeSection

FAILED = "failed to fetch location information"


class Location:
    def __init__(self, node: NodeSection) -> None:
        self._node = node

    def handlers(self) -> Mapping[str, Handler]:
        return {"location.get": self.get}

    async def get(self, request: rmb.Request) -> dict[str, Any]:
        """Coordinates are degrees."""
        node = self._node
        longitude, latitude = _degrees(node.longitude), _degrees(node.latitude)
        if longitude is None or latitude is None:
            raise rmb.HandlerError(FAILED)
        return {
            "longitude": longitude,
            "latitude": latitude,
            "continent": node.continent,
            "country_name": node.country,
            "country_code": node.country_code,
            "city_name": node.city,
        }


def _degrees(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
