"""What follows from the end of an act: changes of the journal and when to try again.  Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import BaseModel

from gridtypes import Result, ResultState, Workload, result_json
from zosd.engine.acts import Failed, Gone, Made, NotThere, Outcome, Refused, Waits
from zosd.engine.backoff import Backoff
from zosd.engine.plan import Sight, Step, Verb
from zosd.journal.changes import AddHistory, Change, DropWorkload, PutJob, PutWorkload
from zosd.journal.records import Job, Key, WorkloadRecord

NULL = b"null"


@dataclass(frozen=True, slots=True)
class Effect:
    changes: tuple[Change, ...] = ()
    sight: Sight | None = None
    """What is known of the machine now; None: no more than before."""
    failures: int = 0
    """Failures in a row; 0: no reason to wait before the next step."""


def after(
    key: Key,
    record: WorkloadRecord,
    tried: Workload,
    step: Step,
    outcome: Outcome,
    now: float,
    backoff: Backoff,
) -> Effect:
    """The effect of `outcome` on the workload as the journal has it *now*.

    `tried` is the version that was handed to the provisioner; while the act ran an update may have been accepted.
    """
    match step.verb, outcome:
        case Verb.REMOVE, Gone():
            gone = Result(created=int(now), state=ResultState.DELETED, message=record.leaving, data=NULL)
            return Effect(
                (DropWorkload(key, record.name), AddHistory(key, record.definition.with_result(gone)))
            )
        case Verb.REMOVE, Waits(message):
            return _failure(key, record, f"removal waits: {message}", now, backoff, None)
        case ((Verb.HOLD | Verb.BLAME), _):
            return _told(key, record, step.reason, now)
        case Verb.RECOVER, NotThere():
            return Effect((PutJob(key, Job("recover", now)),), Sight.MISSING)
        case Verb.RECOVER, Made(data, _):
            return _adopted(key, record, data, now)
        case Verb.INSTALL, Made(data, note):
            return _installed(key, record, tried, data, note, now)
        case Verb.UPDATE, Made(data, note):
            return _updated(key, record, tried, data, note, now)
        case Verb.UPDATE, Refused(message):
            return _unchanged(key, record, tried, message, now, half_changed=False)
        case Verb.UPDATE, (Failed(message, _) | Waits(message)):
            return _unchanged(key, record, tried, message, now, half_changed=True)
        case Verb.PAUSE, Made():
            return _state(key, record, ResultState.PAUSED, "paused", now)
        case Verb.RESUME, Made(_, note):
            return _state(key, record, ResultState.OK, note, now)
        case ((Verb.PAUSE | Verb.RESUME), Failed()):
            # It runs on as it was; the state has to go on telling that.
            return Effect(failures=record.attempts + 1, changes=_counted(key, record))
        case _, (Failed(message, _) | Refused(message) | Waits(message)):
            return _failure(key, _promoted(record, tried), message, now, backoff, Sight.MISSING)
        case _:
            raise AssertionError(f"{step.verb.value} cannot end with {outcome!r}")


def fallen(key: Key, record: WorkloadRecord, message: str, now: float, backoff: Backoff) -> Effect:
    """The effect of an installed workload having died by itself."""
    effect = _failure(key, record, message, now, backoff, Sight.MISSING)
    return replace(effect, changes=(*effect.changes, PutJob(key, Job("recover", now))))


def reported(key: Key, record: WorkloadRecord, error: str | None, note: str, now: float) -> Effect:
    """The effect of what a provisioner says about a workload that it watches and mends by itself."""
    if error is not None:
        result = replace(record.result, created=int(now), state=ResultState.ERROR, message=error)
        return Effect(_recorded(key, record, record, result))
    if record.result.state is ResultState.ERROR:
        return _state(key, record, ResultState.OK, note, now)
    return Effect()


def _promoted(record: WorkloadRecord, tried: Workload) -> WorkloadRecord:
    """A version that was tried where nothing ran before takes the place of the older one."""
    if record.newer is not None and tried == record.newer:
        return replace(record, definition=tried, newer=None)
    return record


def _worked(record: WorkloadRecord, data: BaseModel | None, note: str, now: float) -> Result:
    """What an act that went well says; the workloads of a paused deployment stay paused."""
    # Types that do not pause by themselves are made again in a paused deployment and keep its state.
    paused = record.result.state is ResultState.PAUSED
    return Result(
        created=int(now),
        state=ResultState.PAUSED if paused else ResultState.OK,
        message="paused" if paused else note,
        data=result_json(data),
    )


def _installed(
    key: Key, record: WorkloadRecord, tried: Workload, data: BaseModel | None, note: str, now: float
) -> Effect:
    result = _worked(record, data, note, now)
    new = replace(_promoted(record, tried), half_changed=False)
    return Effect(_recorded(key, record, new, result), Sight.LIVE)


def _adopted(key: Key, record: WorkloadRecord, data: BaseModel | None, now: float) -> Effect:
    result = replace(record.result, data=result_json(data))
    if result == record.result:
        return Effect(sight=Sight.LIVE)
    return Effect(_recorded(key, record, record, replace(result, created=int(now))), Sight.LIVE)


def _updated(
    key: Key, record: WorkloadRecord, tried: Workload, data: BaseModel | None, note: str, now: float
) -> Effect:
    result = _worked(record, data, note, now)
    newer = None if record.newer == tried else record.newer
    new = replace(record, definition=tried, newer=newer, half_changed=False, attempts=0, result=result)
    # Shown with the new version even where nothing had to be done (decision 56).
    return Effect((PutWorkload(key, new), AddHistory(key, new.shown())), Sight.LIVE)


def _unchanged(
    key: Key, record: WorkloadRecord, tried: Workload, message: str, now: float, half_changed: bool
) -> Effect:
    result = Result(created=int(now), state=ResultState.UNCHANGED, message=message, data=record.result.data)
    newer = None if record.newer == tried else record.newer
    new = replace(record, newer=newer, half_changed=record.half_changed or half_changed)
    return Effect((PutWorkload(key, new), AddHistory(key, tried.with_result(result))))


def _state(key: Key, record: WorkloadRecord, state: ResultState, message: str, now: float) -> Effect:
    result = replace(record.result, created=int(now), state=state, message=message)
    return Effect(_recorded(key, record, record, result))


def _counted(key: Key, record: WorkloadRecord) -> tuple[Change, ...]:
    return (PutWorkload(key, replace(record, attempts=record.attempts + 1)),)


def _told(key: Key, record: WorkloadRecord, message: str, now: float) -> Effect:
    # What only waits for its removal still works for whoever uses it, so its state stays.
    state = record.result.state if record.leaving and record.healthy else ResultState.ERROR
    result = Result(created=int(now), state=state, message=message, data=record.result.data)
    return Effect(_recorded(key, record, record, result))


def _failure(
    key: Key, record: WorkloadRecord, message: str, now: float, backoff: Backoff, sight: Sight | None
) -> Effect:
    good_for = max(0.0, now - record.result.created) if record.healthy else 0.0
    attempts = backoff.streak(record.attempts, good_for)
    result = Result(created=int(now), state=ResultState.ERROR, message=message, data=NULL)
    new = replace(record, attempts=attempts)
    return Effect(_recorded(key, record, new, result), sight, attempts)


def _recorded(key: Key, old: WorkloadRecord, new: WorkloadRecord, result: Result) -> tuple[Change, ...]:
    """Store the new state; into the history only what is news, so that endless retries do not fill it."""
    same = (
        old.definition == new.definition
        and old.result.state == result.state
        and old.result.message == result.message
        and old.result.data == result.data
    )
    if same:
        return () if old == new else (PutWorkload(key, replace(new, result=old.result)),)
    stored = replace(new, result=result)
    return (PutWorkload(key, stored), AddHistory(key, stored.shown()))
