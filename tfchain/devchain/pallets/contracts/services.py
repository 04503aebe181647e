"""Service contracts: one twin pays another for a service, in fees that both agreed on."""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.pallets import funds
from tfchain.devchain.pallets.contracts import pricing
from tfchain.devchain.pallets.contracts.store import (
    PALLET,
    SERVICE_CONTRACT_ID,
    SERVICE_CONTRACTS,
    caller_twin,
    error,
)
from tfchain.devchain.pallets.tfgrid.store import TWIN_BY_ACCOUNT, TWINS
from tfchain.devchain.pallets.tft_price import billing_price
from tfchain.devchain.records import ServiceContract, ServiceContractBill
from tfchain.devchain.storage import next_id

LONGEST_METADATA = 64
LONGEST_BILL_METADATA = 50
LONGEST_WINDOW = 3600
"""Seconds that one bill covers at most; what is older is lost."""
UNITS_IN_MUSD = 10_000
"""10^-7 USD."""


def service_contract_create(ctx: Context, service_account: bytes, consumer_account: bytes) -> None:
    caller = ctx.signer()
    service, consumer = _twin_of(ctx, service_account), _twin_of(ctx, consumer_account)
    if caller not in (service_account, consumer_account):
        raise error("TwinNotAuthorized")
    if service == consumer:
        raise error("ServiceContractCreationNotAllowed")
    number = next_id(ctx, SERVICE_CONTRACT_ID)
    made = ServiceContract(number, service, consumer, 0, 0, b"", False, False, 0, "Created")
    SERVICE_CONTRACTS.put(ctx, number, made)
    ctx.deposit(PALLET, "ServiceContractCreated", made)


def service_contract_set_metadata(ctx: Context, service_contract_id: int, metadata: bytes) -> None:
    twin = caller_twin(ctx)
    before = _found(ctx, service_contract_id)
    _require_party(before, twin)
    _require_open(before)
    if len(metadata) > LONGEST_METADATA:
        raise error("ServiceContractMetadataTooLong")
    _store(ctx, _agreement(replace(before, metadata=metadata)), "ServiceContractMetadataSet")


def service_contract_set_fees(
    ctx: Context, service_contract_id: int, base_fee: int, variable_fee: int
) -> None:
    """Fees in mUSD an hour; the service's right."""
    twin = caller_twin(ctx)
    before = _found(ctx, service_contract_id)
    if twin != before.service_twin_id:
        raise error("TwinNotAuthorized")
    _require_open(before)
    changed = replace(before, base_fee=base_fee, variable_fee=variable_fee)
    _store(ctx, _agreement(changed), "ServiceContractFeesSet")


def service_contract_approve(ctx: Context, service_contract_id: int) -> None:
    twin = caller_twin(ctx)
    before = _found(ctx, service_contract_id)
    if before.state != "AgreementReady":
        raise error("ServiceContractApprovalNotAllowed")
    _require_party(before, twin)
    if twin == before.service_twin_id:
        changed = replace(before, accepted_by_service=True)
    else:
        changed = replace(before, accepted_by_consumer=True)
    if changed.accepted_by_service and changed.accepted_by_consumer:
        changed = replace(changed, state="ApprovedByBoth", last_bill=ctx.block.time)
    _store(ctx, changed, "ServiceContractApproved")


def service_contract_reject(ctx: Context, service_contract_id: int) -> None:
    ctx.signer()
    before = _found(ctx, service_contract_id)
    if before.state != "AgreementReady":
        raise error("ServiceContractRejectionNotAllowed")
    _require_party(before, caller_twin(ctx))
    _remove(ctx, before)


def service_contract_cancel(ctx: Context, service_contract_id: int) -> None:
    twin = caller_twin(ctx)
    before = _found(ctx, service_contract_id)
    _require_party(before, twin)
    _remove(ctx, before)


def service_contract_bill(
    ctx: Context, service_contract_id: int, variable_amount: int, metadata: bytes
) -> None:
    """Take what the time since the last bill costs from the consumer, and give it to the service."""
    twin = caller_twin(ctx)
    before = _found(ctx, service_contract_id)
    if twin != before.service_twin_id:
        raise error("TwinNotAuthorized")
    if before.state != "ApprovedByBoth":
        raise error("ServiceContractBillingNotApprovedByBoth")
    window = min(ctx.block.time - before.last_bill, LONGEST_WINDOW)
    if variable_amount > round(before.variable_fee * window / pricing.HOUR):
        raise error("ServiceContractBillingVariableAmountTooHigh")
    if len(metadata) > LONGEST_BILL_METADATA:
        raise error("ServiceContractBillMetadataTooLong")
    cost = round(before.base_fee * window / pricing.HOUR) + variable_amount
    amount = pricing.in_tft(cost * UNITS_IN_MUSD, billing_price(ctx))
    consumer, service = TWINS.get(ctx, before.consumer_twin_id), TWINS.get(ctx, twin)
    if consumer is None or service is None:
        raise error("TwinNotExists")
    if amount > funds.usable(ctx, consumer.account_id):
        raise error("ServiceContractNotEnoughFundsToPayBill")
    funds.transfer(ctx, consumer.account_id, service.account_id, amount, keep_alive=True)
    changed = replace(before, last_bill=ctx.block.time)
    SERVICE_CONTRACTS.put(ctx, service_contract_id, changed)
    ctx.deposit(
        PALLET,
        "ServiceContractBilled",
        {
            "service_contract": changed,
            "bill": ServiceContractBill(variable_amount, window, metadata),
            "amount": amount,
        },
    )


def _twin_of(ctx: Context, account: bytes) -> int:
    twin = TWIN_BY_ACCOUNT.get(ctx, account)
    if twin is None:
        raise error("TwinNotExists")
    return twin


def _found(ctx: Context, number: int) -> ServiceContract:
    found = SERVICE_CONTRACTS.get(ctx, number)
    if found is None:
        raise error("ServiceContractNotExists")
    return found


def _require_party(contract: ServiceContract, twin: int) -> None:
    if twin not in (contract.service_twin_id, contract.consumer_twin_id):
        raise error("TwinNotAuthorized")


def _require_open(contract: ServiceContract) -> None:
    if contract.state == "ApprovedByBoth":
        raise error("ServiceContractModificationNotAllowed")


def _agreement(contract: ServiceContract) -> ServiceContract:
    """Ready for approval once it says what it is about and what it costs; whoever approved before does so again."""
    state = "AgreementReady" if contract.metadata and contract.base_fee else "Created"
    return replace(contract, state=state, accepted_by_service=False, accepted_by_consumer=False)


def _store(ctx: Context, contract: ServiceContract, event: str) -> None:
    SERVICE_CONTRACTS.put(ctx, contract.service_contract_id, contract)
    ctx.deposit(PALLET, event, contract)


def _remove(ctx: Context, contract: ServiceContract) -> None:
    SERVICE_CONTRACTS.delete(ctx, contract.service_contract_id)
    ctx.deposit(
        PALLET,
        "ServiceContractCanceled",
        {"service_contract_id": contract.service_contract_id, "cause": "CanceledByUser"},
    )


CALLS: dict[str, Handler] = {
    "service_contract_create": service_contract_create,
    "service_contract_set_metadata": service_contract_set_metadata,
    "service_contract_set_fees": service_contract_set_fees,
    "service_contract_approve": service_contract_approve,
    "service_contract_reject": service_contract_reject,
    "service_contract_cancel": service_contract_cancel,
    "service_contract_bill": service_contract_bill,
}
