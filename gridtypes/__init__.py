"""What a deployment is: models, validation, challenge hash, signatures and upgrade plan.

Bit-compatible with the Go package of the same name; pure, nothing here does I/O.
"""

from __future__ import annotations

from gridtypes import results, workloads
from gridtypes.capacity import GIB, KIB, MIB, TIB, Capacity
from gridtypes.deployment import Deployment
from gridtypes.errors import (
    DecodeError,
    InvalidData,
    InvalidDeployment,
    InvalidId,
    InvalidName,
    SignatureError,
    UpgradeError,
    WorkloadNotFound,
)
from gridtypes.ids import (
    ContractId,
    DeploymentId,
    FarmId,
    Name,
    NodeId,
    TwinId,
    WorkloadId,
    check_name,
    network_id,
)
from gridtypes.result import Result, ResultState
from gridtypes.signature import (
    Signature,
    SignatureRequest,
    SignatureRequirement,
    Signer,
    WalletSigner,
)
from gridtypes.upgrade import UpgradeOp
from gridtypes.workload import Workload, result_json
from gridtypes.workload_type import WorkloadType

__all__ = [
    "GIB",
    "KIB",
    "MIB",
    "TIB",
    "Capacity",
    "ContractId",
    "DecodeError",
    "Deployment",
    "DeploymentId",
    "FarmId",
    "InvalidData",
    "InvalidDeployment",
    "InvalidId",
    "InvalidName",
    "Name",
    "NodeId",
    "Result",
    "ResultState",
    "Signature",
    "SignatureError",
    "SignatureRequest",
    "SignatureRequirement",
    "Signer",
    "TwinId",
    "UpgradeError",
    "UpgradeOp",
    "WalletSigner",
    "Workload",
    "WorkloadId",
    "WorkloadNotFound",
    "WorkloadType",
    "check_name",
    "network_id",
    "result_json",
    "results",
    "workloads",
]
