"""Which unit is to be started, probed, stopped, and when.  Pure: time comes in, orders go out.

The rules are zinit's, with three of our own: a failed one-shot is tried again, the pause before a restart grows, and
a unit with `health` is probed as long as it runs.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from images.boot.unit import Unit

PROBE_EVERY_S = 2.0
PROBE_LIMIT_S = 60.0
"""A probe that takes longer is killed and counts as failed."""
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 60.0
STEADY_S = 60.0
"""After this time of running the pause begins small again."""
GRACE_S = 0.5
"""Between SIGKILL to a group and a second one to what is left."""
MOST_MISSES = 3
"""Probes of a running unit that may fail in a row before it is restarted."""
SPAWN_RETRY_S = 30.0


class State(StrEnum):
    BLOCKED = "blocked"
    SPAWNED = "spawned"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    FAILURE = "failure"
    """Could not be executed at all."""
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Start:
    name: str


@dataclass(frozen=True, slots=True)
class Probe:
    name: str


@dataclass(frozen=True, slots=True)
class Signal:
    """Send `number` to the unit's process group."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class EndProbe:
    name: str


Order = Start | Probe | Signal | EndProbe


@dataclass(slots=True)
class Watched:
    """One unit and what is known of it."""

    unit: Unit
    state: State = State.BLOCKED
    since: float = 0.0
    alive: bool = False
    restarts: int = 0
    pause: float = 0.0
    next_start: float = 0.0
    next_probe: float = 0.0
    probing_since: float | None = None
    misses: int = 0
    last_exit: int | None = None
    """Exit status, or minus the signal's number."""
    why: str = ""
    """Why it does not run."""
    kill_at: float | None = None
    wanted: bool = True

    @property
    def ready(self) -> bool:
        return self.state is (State.SUCCESS if self.unit.oneshot else State.RUNNING)


class Supervision:
    """All units.  Call `step` after every event; it returns what to do now."""

    def __init__(self, units: Iterable[Unit] = ()) -> None:
        self.units: dict[str, Watched] = {}
        self.ending = False
        for unit in units:
            self.monitor(unit, 0.0)

    def monitor(self, unit: Unit, now: float) -> None:
        """Take a unit in.  Raises ValueError when one of this name is known."""
        if unit.name in self.units:
            raise ValueError(f"unit {unit.name} is known already: stop and forget it first")
        self.units[unit.name] = Watched(unit, since=now)

    def forget(self, name: str) -> None:
        """Raises ValueError while the unit runs, KeyError when it is unknown."""
        if self.units[name].alive:
            raise ValueError(f"unit {name} runs: stop it first")
        del self.units[name]

    def waits_for(self, name: str) -> list[str]:
        """Names of units that are not ready and that this one comes after."""
        return [
            each
            for each in self.units[name].unit.after
            if each not in self.units or not self.units[each].ready
        ]

    def stop(self, name: str) -> None:
        """Stop a unit and keep it stopped.  Raises KeyError."""
        self.units[name].wanted = False

    def start(self, name: str, now: float) -> None:
        """Undo `stop`, or start a one-shot again.  Raises KeyError."""
        watched = self.units[name]
        watched.wanted = True
        watched.next_start = now
        if not watched.alive:
            self._turn(watched, State.BLOCKED, now)

    def restart(self, name: str, now: float) -> None:
        """Stop a unit, and start it again at once when it has ended.  Raises KeyError."""
        watched = self.units[name]
        watched.wanted = True
        watched.pause = 0.0
        if watched.alive:
            self._begin_stop(watched, now)
        else:
            self.start(name, now)

    def end(self) -> None:
        """Begin the shutdown: no more starts, units stop in reverse order of their dependencies."""
        self.ending = True

    @property
    def ended(self) -> bool:
        return self.ending and not any(watched.alive for watched in self.units.values())

    # -- what happened --------------------------------------------------------------------------------------------

    def started(self, name: str, now: float) -> None:
        watched = self.units[name]
        watched.alive, watched.misses, watched.kill_at, watched.why = True, 0, None, ""
        watched.next_probe = now
        needs_probe = watched.unit.test and not watched.unit.oneshot
        self._turn(watched, State.SPAWNED if needs_probe or watched.unit.oneshot else State.RUNNING, now)

    def not_started(self, name: str, why: str, now: float) -> None:
        """It could not be executed.  Tried again seldom: a missing program may come with an upgrade."""
        watched = self.units[name]
        watched.why = why
        watched.next_start = now + SPAWN_RETRY_S
        self._turn(watched, State.FAILURE, now)

    def exited(self, name: str, status: int, now: float) -> None:
        watched = self.units[name]
        lived = now - watched.since if watched.state is State.RUNNING else 0.0
        watched.alive, watched.probing_since, watched.kill_at = False, None, None
        watched.last_exit = status
        stopped = watched.state is State.STOPPING
        if watched.unit.oneshot and status == 0 and not stopped:
            watched.pause, watched.why = 0.0, ""
            self._turn(watched, State.SUCCESS, now)
            return
        if stopped:
            watched.next_start = now
            self._turn(watched, State.BLOCKED if watched.wanted else State.STOPPED, now)
            return
        watched.why = f"signal {-status}" if status < 0 else f"status {status}"
        if lived >= STEADY_S:
            watched.pause = 0.0
        watched.pause = min(LONGEST_PAUSE_S, watched.pause * 2 or FIRST_PAUSE_S)
        watched.next_start = now + watched.pause
        watched.restarts += 1
        self._turn(watched, State.ERROR, now)

    def probed(self, name: str, good: bool, now: float) -> None:
        watched = self.units[name]
        if watched.probing_since is None:
            return
        watched.probing_since = None
        if watched.state is State.SPAWNED:
            if good:
                self._turn(watched, State.RUNNING, now)
            watched.next_probe = now + (watched.unit.health if good else PROBE_EVERY_S)
        elif watched.state is State.RUNNING:
            watched.misses = 0 if good else watched.misses + 1
            watched.next_probe = now + watched.unit.health
            if watched.misses >= MOST_MISSES:
                watched.why = f"{watched.misses} health probes in a row failed"
                watched.restarts += 1
                self._begin_stop(watched, now)

    # -- what to do -----------------------------------------------------------------------------------------------

    def step(self, now: float) -> list[Order]:
        """Everything that is due.  Each order is given once; the caller reports what came of it."""
        orders: list[Order] = []
        for name, watched in self.units.items():
            orders += self._stop_orders(name, watched, now)
            if self.ending:
                continue
            if self._may_start(name, watched, now):
                # Not alive yet; `started` or `not_started` follows before the next step.
                orders.append(Start(name))
            orders += self._probe_orders(name, watched, now)
        return orders

    def next_time(self, now: float) -> float:
        """When `step` has to be called at the latest if nothing happens before."""
        times = [now + 60.0]
        for name, watched in self.units.items():
            if watched.kill_at is not None:
                times.append(watched.kill_at)
            if watched.probing_since is not None:
                times.append(watched.probing_since + PROBE_LIMIT_S)
            elif watched.alive and self._wants_probe(watched):
                times.append(watched.next_probe)
            waiting = watched.state in (State.ERROR, State.FAILURE, State.BLOCKED)
            if waiting and watched.wanted and not self.ending and not self.waits_for(name):
                times.append(watched.next_start)
        return min(times)

    def _may_start(self, name: str, watched: Watched, now: float) -> bool:
        if watched.alive or not watched.wanted or now < watched.next_start:
            return False
        if watched.state not in (State.BLOCKED, State.ERROR, State.FAILURE):
            return False
        return not self.waits_for(name)

    def _wants_probe(self, watched: Watched) -> bool:
        if not watched.unit.test or watched.unit.oneshot:
            return False
        return watched.state is State.SPAWNED or (watched.state is State.RUNNING and watched.unit.health > 0)

    def _probe_orders(self, name: str, watched: Watched, now: float) -> list[Order]:
        if watched.probing_since is not None:
            if now - watched.probing_since >= PROBE_LIMIT_S:
                watched.probing_since = now  # its end is reported as a failed probe
                return [EndProbe(name)]
            return []
        if watched.alive and self._wants_probe(watched) and now >= watched.next_probe:
            watched.probing_since = now
            return [Probe(name)]
        return []

    def _stop_orders(self, name: str, watched: Watched, now: float) -> list[Order]:
        if not watched.alive:
            return []
        if watched.state is not State.STOPPING:
            if not watched.wanted or (self.ending and not self._needed(name)):
                self._begin_stop(watched, now)
            else:
                return []
        if watched.kill_at is None:
            watched.kill_at = now + watched.unit.shutdown_timeout
            return [Signal(name, watched.unit.stop_signal)]
        if now >= watched.kill_at:
            watched.kill_at = now + GRACE_S
            return [Signal(name, signal.SIGKILL)]
        return []

    def _needed(self, name: str) -> bool:
        """Whether a living unit comes after this one."""
        return any(other.alive and name in other.unit.after for other in self.units.values())

    def _begin_stop(self, watched: Watched, now: float) -> None:
        if watched.state is not State.STOPPING:
            self._turn(watched, State.STOPPING, now)
            watched.kill_at = None

    @staticmethod
    def _turn(watched: Watched, state: State, now: float) -> None:
        if watched.state is not state:
            watched.state, watched.since = state, now
