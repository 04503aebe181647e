"""What can be wrong with a deployment."""

from __future__ import annotations


class DecodeError(ValueError):
    """JSON text that does not describe the wanted object.

    `path` is where (`workloads[0].data`), `value` the JSON text found there (shortened), `reason` what is wrong.
    """

    def __init__(self, reason: str, *, path: str = "", value: str = "", text: str | None = None) -> None:
        if text is None:
            text = f"{path}: {reason}" if path else reason
        super().__init__(text)
        self.reason = reason
        self.path = path
        self.value = value


class InvalidDeployment(ValueError):
    """A deployment that breaks a rule; the text is the one that every node of the grid gives."""


class InvalidData(InvalidDeployment, DecodeError):
    """Workload data that cannot be decoded: the deployment is invalid and has no challenge either."""

    def __init__(self, go_type: str, cause: DecodeError, *, exact: bool) -> None:
        # Go's reasons that do not depend on its version are kept; for the others ours says more (where, and what).
        shown = cause.reason if exact else str(cause)
        text = f"failed to load data into object of type '*zos.{go_type}': {shown}"
        DecodeError.__init__(self, cause.reason, path=cause.path, value=cause.value, text=text)


class InvalidName(InvalidDeployment):
    """A workload name that breaks the rules of names."""


class InvalidId(ValueError):
    """A text that is no workload or deployment id."""


class WorkloadNotFound(InvalidDeployment, LookupError):
    """No such workload in the deployment, or one of another type."""


class SignatureError(ValueError):
    """The deployment is not signed as its signature requirement asks."""


class UpgradeError(ValueError):
    """The proposed deployment is no legal next version of the stored one."""
