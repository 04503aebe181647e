"""A deployment: the workloads that one contract pays for on one node."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

from gridtypes.capacity import Capacity
from gridtypes.errors import (
    InvalidDeployment,
    InvalidName,
    SignatureError,
    WorkloadNotFound,
)
from gridtypes.hex_text import parse_hex
from gridtypes.ids import ContractId, TwinId, WorkloadId, check_name
from gridtypes.kinds import TEXT, TIMESTAMP, U32, U64, ListOf
from gridtypes.record import NestedRecord, Record, member, record
from gridtypes.result import ResultState
from gridtypes.signature import (
    SignatureRequirement,
    Signer,
    is_signed,
    signed_message,
)
from gridtypes.upgrade import UpgradeOp, carry_results, plan_upgrade
from gridtypes.workload import Workload
from gridtypes.workload_type import WorkloadType

HASH_LENGTH = 16


@record
class Deployment(Record):
    """What a twin asks of a node, signed, and bound to a contract by its hash."""

    version: int = member(U32)
    """0 at first, one more with each update."""
    twin_id: TwinId = member(U32)
    """The owner."""
    contract_id: ContractId = member(U64)
    """Not hashed: the contract is made with the hash."""
    metadata: str = member(TEXT)
    description: str = member(TEXT)
    expiration: int = member(TIMESTAMP)
    """Deprecated and without effect, but hashed."""
    signature_requirement: SignatureRequirement = member(NestedRecord(SignatureRequirement))
    workloads: Sequence[Workload] = member(ListOf(NestedRecord(Workload)))

    def challenge(self) -> bytes:
        """Raises InvalidDeployment when a type is unknown or data do not decode.  Nothing else is checked."""
        head = f"{self.version}{self.twin_id}{self.metadata}{self.description}{self.expiration}"
        workloads = b"".join(workload.challenge() for workload in self.workloads)
        return TEXT.challenge(head) + workloads + self.signature_requirement.challenge()

    def challenge_hash(self) -> bytes:
        """MD5 of the challenge, 16 bytes; the contract holds it as hex.  Raises as `challenge` does."""
        return hashlib.md5(self.challenge(), usedforsecurity=False).digest()

    def check(self) -> None:
        """Raises InvalidDeployment with the text that every node gives for the first broken rule.

        Twin, contract, signatures and expiration are not looked at.
        """
        seen = set()
        for workload in self.workloads:
            name = workload.name
            if workload.version > self.version:
                raise InvalidDeployment(
                    f"workload '{name}' version '{workload.version}'"
                    f" cannot be higher than deployment version '{self.version}'"
                )
            try:
                check_name(name)
            except InvalidName as error:
                raise InvalidName(f"name '{name}' is invalid: {error}") from None
            if name in seen:
                raise InvalidDeployment(f"multiple workloads with the same name '{name}'")
            seen.add(name)
            workload.load().check(self)

    # -- looking things up ---------------------------------------------------------------------------------------

    def get(self, name: str) -> Workload:
        """The first workload of that name.  Raises InvalidName, WorkloadNotFound."""
        check_name(name)
        for workload in self.workloads:
            if workload.name == name:
                return workload
        raise WorkloadNotFound(f"no workload with name '{name}': workload not found")

    def get_typed(self, name: str, *types: WorkloadType) -> Workload:
        """Like `get`, of one of these types."""
        workload = self.get(name)
        if workload.type not in types:
            raise WorkloadNotFound(f"workload '{name}' of wrong type")
        return workload

    def find(self, name: str) -> Workload | None:
        """Like `get`; None when there is none or the name is no valid name."""
        try:
            return self.get(name)
        except (InvalidName, WorkloadNotFound):
            return None

    def by_type(self, *types: WorkloadType) -> list[Workload]:
        """In the order of the list; workloads with an invalid name are left out."""
        return [one for one in self.workloads if one.type in types and _has_valid_name(one)]

    def shareables(self) -> list[Workload]:
        """Workloads whose names are unique for the twin."""
        return [one for one in self.workloads if one.type.sharable and _has_valid_name(one)]

    def workload_id(self, name: str) -> WorkloadId:
        """Raises InvalidName."""
        return WorkloadId.checked(self.twin_id, self.contract_id, name)

    # -- state -----------------------------------------------------------------------------------------------------

    def is_active(self) -> bool:
        """Whether any workload is neither deleted nor in error."""
        gone = (ResultState.DELETED, ResultState.ERROR)
        return any(workload.result.state not in gone for workload in self.workloads)

    def capacity(self) -> Capacity:
        """Sum over the workloads.  Raises InvalidDeployment when data do not decode."""
        return sum((workload.capacity() for workload in self.workloads), Capacity())

    def failed(self, message: str) -> Self:
        """A copy with every workload in state `error`."""
        workloads = [one.with_result(one.result.failed(message)) for one in self.workloads]
        return replace(self, workloads=workloads)

    # -- signatures ------------------------------------------------------------------------------------------------

    def sign(self, twin: TwinId | int, signer: Signer) -> Self:
        """A copy with the twin's signature.  The key signs the hash as it is, see `WalletSigner` for wallets.

        Raises InvalidDeployment when there is no hash.
        """
        signature = signer.sign(self.challenge_hash())
        requirement = self.signature_requirement.signed(TwinId(twin), signature, signer.type)
        return replace(self, signature_requirement=requirement)

    def verify(self, keys: Callable[[TwinId], bytes]) -> None:
        """Check that everybody asked for has signed.  Raises SignatureError.

        `keys` gives a twin's account key; the text of what it raises becomes part of the error.  Every twin that
        is listed has to sign: a missing optional signature fails as a wrong one does.
        """
        requirement = self.signature_requirement
        try:
            message = signed_message(self.challenge_hash(), requirement.signature_style)
        except InvalidDeployment as error:
            raise SignatureError(str(error)) from error
        weight, originator = 0, False
        for request in requirement.requests:
            own = request.twin_id == self.twin_id
            originator = originator or own
            entry = requirement.signature_of(request.twin_id)
            if entry is None and (own or request.required):
                raise SignatureError(f"missing required signature for twin '{request.twin_id}'")
            try:
                key = keys(request.twin_id)
            except Exception as error:
                text = f"failed to get public key for twin '{request.twin_id}': {error}"
                raise SignatureError(text) from error
            try:
                signature = parse_hex(entry.signature if entry else "")
            except ValueError as error:
                raise SignatureError(f"invalid signature: {error}") from None
            if not is_signed(entry.signature_type if entry else "", key, message, signature):
                raise SignatureError("failed to verify signature")
            weight = (weight + request.weight) % (1 << 64)
        if not originator:
            raise SignatureError("originator twin id must be in the signature requests")
        if weight < requirement.weight_required:
            raise SignatureError("required signature weight is not reached")

    # -- next version ----------------------------------------------------------------------------------------------

    def upgrade(self, new: Deployment) -> list[UpgradeOp]:
        """The steps from this version to `new`.  Raises UpgradeError."""
        return plan_upgrade(self, new)

    def carried_to(self, new: Deployment) -> Deployment:
        """`new` with the results of this version's workloads."""
        return carry_results(self, new)


def _has_valid_name(workload: Workload) -> bool:
    try:
        check_name(workload.name)
    except InvalidName:
        return False
    return True
