"""What can be asked of the chain to change.

Every call is submitted and waited for until it is in a block; one at a time for each account, so nonces never collide.
"""

from __future__ import annotations

from tfchain.writes.contracts import ContractWrites
from tfchain.writes.council import CouncilWrites
from tfchain.writes.farms import FarmWrites
from tfchain.writes.money import MoneyWrites
from tfchain.writes.nodes import NodeWrites
from tfchain.writes.services import ServiceWrites
from tfchain.writes.twins import TwinWrites


class Writes(TwinWrites, FarmWrites, NodeWrites, ContractWrites, ServiceWrites, MoneyWrites, CouncilWrites):
    """Each raises `DispatchError` when the chain refuses the call, `SubmissionRefused` when it does not even take it,
    `ChainUnavailable` when it was not sent and `OutcomeUnknown` when its fate could not be learnt in time.
    """
