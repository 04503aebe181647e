"""What holds of money and contracts whatever people do: a random life of a small grid, checked after every act."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from tests.tfchain.devchain.driver import NODE, Driver, person
from tfchain.devchain.execution import BuiltBlock
from tfchain.devchain.genesis import Genesis
from tfchain.devchain.pallets import funds
from tfchain.devchain.pallets.contracts.store import CONTRACTS, RENT_OF_NODE
from tfchain.devchain.records import NodeContract
from tfchain.devchain.state import Reading

GIB = 1 << 30
ALICE, BOB, CHARLIE, POOR = (person(f"//{name}") for name in ("Alice", "Bob", "Charlie", "Poor"))
CONTRACT_CALLS = "SmartContractModule."


class SmallGrid(RuleBasedStateMachine):
    """A farm with two addresses, a node, a rich tenant and a poor one."""

    contracts = Bundle("contracts")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.grid = Driver(Path(self.folder.name), Genesis(billing_frequency=2), bills=True)
        self.chain = self.grid.chain
        self.chain.set_grace_blocks(6)
        self.burned = 0
        self.reported: set[int] = set()
        """Contracts with traffic."""
        self.nonce = 0

    def teardown(self) -> None:
        self.grid.close()
        self.folder.cleanup()

    @initialize()
    def people(self) -> None:
        for who in (ALICE, BOB, CHARLIE):
            self.grid.make_twin(who)
        assert self.call(ALICE, "Balances.transfer", dest=POOR.address, value=3_000_000)
        self.grid.make_twin(POOR)
        addresses = [{"ip": f"185.206.122.{n}/24", "gw": "185.206.122.1"} for n in (33, 34)]
        assert self.call(ALICE, "TfgridModule.create_farm", name="farm", public_ips=addresses)
        assert self.call(BOB, "TfgridModule.create_node", **NODE)
        self.total = self.everything()

    # What people do

    @rule(target=contracts, who=st.sampled_from([CHARLIE, POOR]), addresses=st.integers(0, 2))
    def deploy(self, who: Any, addresses: int) -> int:
        self.nonce += 1
        return self.made(
            who, "create_node_contract", node_id=1, deployment_hash="0x" + self.nonce.to_bytes(32, "big").hex(),
            deployment_data="", public_ips=addresses, solution_provider_id=None,
        )  # fmt: skip

    @rule(target=contracts, who=st.sampled_from([CHARLIE, POOR]), name=st.sampled_from(["one", "two"]))
    def take_name(self, who: Any, name: str) -> int:
        return self.made(who, "create_name_contract", name=name)

    @rule(target=contracts, who=st.sampled_from([CHARLIE, POOR]))
    def rent(self, who: Any) -> int:
        return self.made(who, "create_rent_contract", node_id=1, solution_provider_id=None)

    @rule(contract=contracts, gib=st.integers(0, 64))
    def report_resources(self, contract: int, gib: int) -> None:
        used = {"hru": 0, "sru": gib * GIB, "cru": 1, "mru": GIB}
        self.call(BOB, CONTRACT_CALLS + "report_contract_resources",
                  contract_resources=[{"contract_id": contract, "used": used}])  # fmt: skip

    @rule(contract=contracts, gigabytes=st.integers(1, 100))
    def report_traffic(self, contract: int, gigabytes: int) -> None:
        now = self.chain.now_ms() // 1000
        self.reported.add(contract)
        report = {"contract_id": contract, "timestamp": now, "window": 300, "nru": gigabytes * 10**9}
        self.call(BOB, CONTRACT_CALLS + "add_nru_reports", reports=[report])

    @rule(contract=contracts, who=st.sampled_from([CHARLIE, POOR]))
    def cancel(self, contract: int, who: Any) -> None:
        self.call(who, CONTRACT_CALLS + "cancel_contract", contract_id=contract)

    @rule(to=st.sampled_from([ALICE, CHARLIE, POOR]), units=st.integers(1, 5_000_000))
    def pay(self, to: Any, units: int) -> None:
        self.call(CHARLIE, "Balances.transfer", dest=to.address, value=units)

    @rule(who=st.sampled_from([CHARLIE, POOR]), units=st.integers(0, 2_000_000))
    def burn(self, who: Any, units: int) -> None:
        self.call(who, "BurningModule.burn_tft", amount=units, message="enough")

    @rule(blocks=st.integers(1, 8), hours=st.integers(0, 200))
    def time_passes(self, blocks: int, hours: int) -> None:
        for _ in range(blocks):
            self.chain.clock_offset_ms += hours * 3_600_000
            self.note(self.chain.seal())

    # What always holds

    @invariant()
    def money_is_conserved_to_the_unit(self) -> None:
        if hasattr(self, "total"):
            assert self.everything() == self.total

    @invariant()
    def reserved_addresses_have_living_contracts(self) -> None:
        farm = self.grid.read("TfgridModule.Farms", 1)
        for address in farm["public_ips"] if farm else ():
            if address["contract_id"]:
                owner = CONTRACTS.get(Reading(self.chain.state), address["contract_id"])
                assert owner is not None
                assert isinstance(owner.contract_type, NodeContract)

    @invariant()
    def what_runs_on_a_rented_node_ends_with_it(self) -> None:
        state = Reading(self.chain.state)
        rent = RENT_OF_NODE.get(state, 1)
        for contract in self.grid.read("SmartContractModule.ActiveNodeContracts", 1):
            assert CONTRACTS.get(state, contract) is not None
        assert rent is None or CONTRACTS.get(state, rent) is not None

    # How

    def everything(self) -> int:
        """All money that there is, with what was burned."""
        accounts = self.grid.key("System.Account", ALICE.address)[:32]
        held = 0
        for key in self.chain.state.sorted_keys():
            if key.startswith(accounts):
                data = funds.ACCOUNTS.get(Reading(self.chain.state), key[-32:]).data
                held += data.free + data.reserved
        return held + self.burned

    def made(self, who: Any, call: str, **arguments: Any) -> int:
        events = self.call(who, CONTRACT_CALLS + call, **arguments)
        return next((content["contract_id"] for name, content in events if name == "ContractCreated"), 0)

    def call(self, who: Any, call: str, **arguments: Any) -> list[tuple[str, Any]]:
        """Events of the contracts and a last one that is the outcome; all are looked at."""
        encoded = self.grid.sign(who, self.grid.encode_call(call, arguments))
        try:
            self.chain.submit(encoded)
        except Exception:  # cannot pay the fee
            return []
        return self.note(self.chain.seal())

    def note(self, built: BuiltBlock) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        rented = RENT_OF_NODE.get(Reading(self.chain.state), 1)
        for record in self.grid.records(built):
            ((pallet, event),) = record["event"].items()
            if pallet == "BurningModule":
                self.burned += next(iter(event.values()))[1]
            if pallet != "SmartContractModule":
                continue
            ((name, content),) = event.items()
            found.append((name, content))
            if name == "TokensBurned":
                self.burned += content["amount"]
            if name == "ContractBilled" and rented is not None:
                self.check_bill_under_rent(content, rented)
        return found or [("done", None)]

    def check_bill_under_rent(self, bill: Any, rent: int) -> None:
        """Under a rent, only addresses and traffic of a node contract are billed."""
        contract = CONTRACTS.get(Reading(self.chain.state), bill["contract_id"])
        if contract is None or contract.contract_id == rent:
            return
        data = contract.contract_type
        if isinstance(data, NodeContract) and not data.public_ips:
            assert bill["contract_id"] in self.reported or not bill["amount_billed"]


SmallGrid.TestCase.settings = settings(
    max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSmallGrid = SmallGrid.TestCase
