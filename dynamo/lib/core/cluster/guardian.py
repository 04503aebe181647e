"""The small process beside a server that looks after its MariaDB: `python -m dynamo.core.cluster.guardian`.

It reads its orders as one line of JSON (own, replicas, ttl, conflicts) from standard input, and ends when that ends.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dynamo.core.cluster.copying import rebuild
from dynamo.core.cluster.replica import Advance, Closed, Refused, Replica, State
from dynamo.core.cluster.succession import (
    Act,
    Follow,
    Nothing,
    Rebuild,
    Stand,
    StepDown,
    leader_among,
    most_advanced,
    next_act,
    patience_for,
    quorum,
)
from dynamo.dataformat import OperationalError

LOG = logging.getLogger(__name__)

ROUND_S = 0.5
"""How often the group is looked at, in seconds."""


class Guardian:
    """Looks at the whole group, and acts for its own MariaDB; when nobody leads, for the group."""

    def __init__(self, own: str, replicas: dict[str, Replica], ttl: float, conflicts: Path) -> None:
        """`ttl` is how long nobody may lead before a new leader is looked for, in seconds."""
        self._own = own
        self._replicas = replicas
        self._ttl = ttl
        self._conflicts = conflicts
        self._led = time.monotonic()
        self._leader = ""
        self._highest = 0
        self._closed: frozenset[str] = frozenset()
        self._said = ""
        self._pool = ThreadPoolExecutor(len(replicas))

    def round(self) -> None:
        """Look, and do what is to be done next."""
        states = self.states()
        leader = leader_among(states.values())
        highest = max((state.epoch for state in states.values()), default=0)
        if leader is not None:
            self._led, self._leader = time.monotonic(), leader.name
        elif highest > self._highest:
            self._led = (
                time.monotonic()
            )  # somebody collects promises; to do the same would take them from him
        self._highest = max(highest, self._highest)
        ttl = patience_for(self._ttl, self._leader in self._closed)
        addresses = {name: replica.address for name, replica in self._replicas.items()}
        act = next_act(self._own, len(self._replicas), states, addresses, time.monotonic() - self._led, ttl)
        try:
            self._do(act, states)
        except OperationalError as error:
            LOG.warning("%s", error)

    def states(self) -> dict[str, State]:
        """What can be reached of the group."""
        found = dict(zip(self._replicas, self._pool.map(_state, self._replicas.values()), strict=True))
        self._closed = frozenset(name for name, state in found.items() if isinstance(state, Closed))
        return {name: state for name, state in found.items() if isinstance(state, State)}

    def _do(self, act: Act, states: dict[str, State]) -> None:
        own = self._replicas[self._own]
        said = str(act)
        if said != self._said and not (isinstance(act, Nothing) and "nobody has led" in act.reason):
            LOG.info("%s: %s", self._own, said)
            self._said = said
        match act:
            case Stand(epoch):
                self.elect(epoch, states)
            case Follow(leader, epoch):
                own.follow(self._replicas[leader], epoch)
            case Rebuild(leader, epoch):
                rebuild(own, self._replicas[leader], self._conflicts)
                own.follow(self._replicas[leader], epoch)
            case StepDown():
                own.step_down()
            case Nothing():
                return

    def elect(
        self, epoch: int, states: dict[str, State], needed: int | None = None, wanted: str | None = None
    ) -> str | None:
        """Collect promises of an epoch; with enough of them the most advanced one leads then, the others follow.

        `needed` is by default so many that nothing acknowledged is lost; `wanted` leads unless another one is more
        advanced.  The name of the leader, None without enough promises.
        """
        names = list(states)
        logs: dict[str, Advance] = {}
        for name, advance in zip(
            names, self._pool.map(lambda name: self._promised(name, epoch), names), strict=True
        ):
            if advance is not None:
                logs[name] = advance
        self._led = time.monotonic()  # whatever comes of it, the next attempt waits
        if len(logs) < (quorum(len(self._replicas)) if needed is None else needed):
            LOG.warning("Epoch %d was promised by %s only", epoch, ", ".join(logs) or "nobody")
            return None
        leader = most_advanced(logs, wanted)
        self._replicas[leader].prepare_to_lead(epoch)
        for name in logs:
            # Followers come first: the leader commits nothing without one, and a table that it is about to make could
            # not be copied meanwhile.  Their guardians may be gone.
            if name != leader and (states[name].has_data or not states[leader].has_data):
                try:
                    self._replicas[name].follow(self._replicas[leader], epoch)
                except OperationalError as error:
                    LOG.warning("%s", error)
        self._replicas[leader].lead(epoch)
        LOG.warning("MariaDB %s leads in epoch %d, promised by %s", leader, epoch, ", ".join(logs))
        return leader

    def _promised(self, name: str, epoch: int) -> Advance | None:
        try:
            return self._replicas[name].promise(epoch, self._own)
        except (Refused, OperationalError) as error:
            LOG.warning("%s", error)
            return None


def _state(replica: Replica) -> State | OperationalError:
    try:
        return replica.state()
    except OperationalError as error:
        return error


def main() -> None:
    """Serve until standard input ends."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s:%(levelname)s:%(name)s: %(message)s")
    orders: dict[str, Any] = json.loads(sys.stdin.readline())
    replicas = {name: Replica(name, params) for name, params in orders["replicas"].items()}
    guardian = Guardian(orders["own"], replicas, orders["ttl"], Path(orders["conflicts"]))
    threading.Thread(target=_end_with_server, daemon=True).start()
    while True:
        guardian.round()
        time.sleep(ROUND_S)


def _end_with_server() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
