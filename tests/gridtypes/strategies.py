"""Random deployments that decode: any text, any number in range, all types."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from gridtypes import (
    Deployment,
    Result,
    ResultState,
    Signature,
    SignatureRequest,
    SignatureRequirement,
    Workload,
)
from gridtypes.addresses import parse_ip, parse_ipnet
from gridtypes.workloads import (
    DATA_MODELS,
    MachineCapacity,
    MachineInterface,
    MachineMount,
    MachineNetwork,
    MachineNetworkLight,
    Mycelium,
    MyceliumIP,
    Peer,
    QSFSConfig,
)

texts = st.text(max_size=12)
u8, u16 = st.integers(0, 2**8 - 1), st.integers(0, 2**16 - 1)
u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
addresses = st.ip_addresses().map(lambda address: parse_ip(str(address)))
networks = st.tuples(st.ip_addresses(v=4), st.integers(0, 32)).map(lambda it: parse_ipnet(f"{it[0]}/{it[1]}"))

peers = st.builds(Peer, networks, texts, st.lists(networks, max_size=2), texts)
mycelium = st.builds(Mycelium, st.binary(max_size=4), st.lists(texts, max_size=2))
mycelium_ips = st.none() | st.builds(MyceliumIP, texts, st.binary(max_size=6))
interfaces = st.lists(st.builds(MachineInterface, texts, st.none() | addresses), max_size=2)

BY_FIELD: dict[str, Any] = {
    "size": u64,
    "cache": u64,
    "wireguard_listen_port": u16,
    "ip_range": st.none() | networks,
    "subnet": st.none() | networks,
    "peers": st.lists(peers, max_size=2),
    "mycelium": mycelium,
    "compute_capacity": st.builds(MachineCapacity, u8, u64),
    "mounts": st.lists(st.builds(MachineMount, texts, texts), max_size=2),
    "env": st.dictionaries(texts, texts, max_size=3),
    "gpu": st.lists(texts, max_size=2),
    "backends": st.lists(texts, max_size=2),
    "config": st.builds(QSFSConfig, u32, u32, u32, u32, u32),
    **dict.fromkeys(("corex", "public", "v4", "v6", "tls_passthrough"), st.booleans()),
}
NETWORKS = {
    "zmachine": st.builds(MachineNetwork, texts, st.booleans(), mycelium_ips, interfaces),
    "zmachine-light": st.builds(MachineNetworkLight, mycelium_ips, interfaces),
}


def data_of(type: str, model: type[Any]) -> st.SearchStrategy[Any]:
    wanted = {}
    for field in fields(model):
        if field.name == "network":
            wanted[field.name] = NETWORKS.get(type, st.none() | texts)
        else:
            wanted[field.name] = BY_FIELD.get(field.name, texts)
    return st.builds(model, **wanted)


results = st.builds(
    Result,
    created=st.integers(-(2**63), 2**63 - 1),
    state=st.sampled_from(list(ResultState)),
    message=texts,
    data=st.sampled_from([b"", b"null", b'{"id":"1-2-a"}', b"[1, 2]"]),
)
all_data = st.one_of(*(data_of(type, model) for type, model in DATA_MODELS.items()))
workloads = st.builds(
    lambda name, data, version, metadata, description, result: Workload.build(
        name, data, version=version, metadata=metadata, description=description
    ).with_result(result),
    texts,
    all_data,
    u32,
    texts,
    texts,
    results,
)
requirements = st.builds(
    SignatureRequirement,
    requests=st.lists(st.builds(SignatureRequest, u32, st.booleans(), u64), max_size=2),
    weight_required=u64,
    signatures=st.lists(st.builds(Signature, u32, texts, texts), max_size=2),
    signature_style=texts,
)
deployments = st.builds(
    Deployment,
    version=u32,
    twin_id=u32,
    contract_id=u64,
    metadata=texts,
    description=texts,
    expiration=st.integers(-(2**63), 2**63 - 1),
    signature_requirement=requirements,
    workloads=st.lists(workloads, max_size=3),
)
