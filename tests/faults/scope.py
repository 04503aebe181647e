"""How much a run does.

| variable | meaning |
|---|---|
| `FAULTS=all` | every derived point, and the long cycles; otherwise a sample |
| `FAULTS_SEED=n` | another sample (default 1) |
| `FAULTS_PART=k/n` | the k-th of n parts of a long run: the parts are disjoint, and together they are the whole |
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

SEED = int(os.environ.get("FAULTS_SEED", "1"))
EVERY_ONE = os.environ.get("FAULTS") == "all"
PART, PARTS = (int(number) for number in os.environ.get("FAULTS_PART", "1/1").split("/"))
if not 1 <= PART <= PARTS:
    raise ValueError(f"FAULTS_PART={PART}/{PARTS}: say which part of how many, for example 2/4")


def part(things: Sequence[T]) -> Sequence[T]:
    """Those of `things` that are this part's."""
    return things[PART - 1 :: PARTS]


def count(sample: int, all: int) -> int:
    """`sample`, or with FAULTS=all this part's share of `all`."""
    return len(part(range(all))) if EVERY_ONE else sample
