"""The names that programs import: every class, method, constant and signature."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from oio.api.base import HttpApi
from oio.common.client import ProxyClient
from oio.common.daemon import Daemon
from oio.common.tool import Tool, ToolWorker

LOCATED = "self, params"
WHO = "self, account=None, reference=None"
SIGNATURES = {
    "oio.api.base.HttpApi": {
        "_request": "self, method, url, endpoint=None",
        "_direct_request": "self, method, url, headers=None, data=None, json=None, params=None",
    },
    "oio.common.client.ProxyClient": {
        "__init__": "self, conf, request_prefix='', no_ns_in_url=False, endpoint=None, request_attempts=1, logger=None",
    },
    "oio.common.tool.Tool": {
        "__init__": "self, conf, beanstalkd_addr=None, logger=None, watchdog=None",
        "prepare_local_dispatcher": "self",
        "prepare_distributed_dispatcher": "self",
        "run": "self",
        "is_success": "self",
        "update_counters": "self, task_res",
        "log_report": "self, status, force=False",
        "exit_gracefully": "self, signum=None, frame=None",
        "create_worker": "self, queue_workers, queue_reply",
        "string_from_item": "item",
        "_fetch_items": "self",
        "_load_total_expected_items": "self",
        "_get_report": "self, status, end_time, counters",
        "items_from_task_event": "self, task_event",
        "task_event_from_item": "self, item",
        "tasks_res_from_res_event": "self, res_event",
        "res_event_from_task_res": "self, task_res",
    },
    "oio.common.tool.ToolWorker": {
        "__init__": "self, tool, queue_workers, queue_reply",
        "_process_item": "self, item",
        "run": "self",
    },
    "oio.common.daemon.Daemon": {"__init__": "self, conf", "run": "self", "start": "self", "stop": "self"},
    "oio.directory.admin": {"service_id_to_string": "service_id", "loc_params": "func"},
    "oio.directory.admin.AdminClient": {
        "__init__": "self, conf",
        "election_debug": LOCATED,
        "election_leave": LOCATED,
        "election_ping": LOCATED,
        "election_status": LOCATED,
        "election_sync": f"{LOCATED}, check_type=None",
        "get_properties": LOCATED,
        "set_properties": f"{LOCATED}, properties=None, system=None",
        "set_peers": f"{LOCATED}, peers",
        "has_base": LOCATED,
        "copy_base_from": f"{LOCATED}, svc_from, svc_to",
        "copy_base_to": f"{LOCATED}, svc_to",
        "copy_base_local": f"{LOCATED}, svc_from",
        "remove_base": LOCATED,
        "vacuum_base": LOCATED,
        "proxy_flush_cache": "self, high=True, low=True, proxy_netloc=None",
        "proxy_get_cache_status": "self, proxy_netloc=None",
        "proxy_get_live_config": "self, proxy_netloc=None",
        "proxy_set_live_config": "self, proxy_netloc=None, config=None",
        "service_balance_elections": "self, svc_id, max_ops=0, inactivity=0",
        "service_flush_cache": "self, svc_id",
        "service_reload_lb": "self, svc_id",
        "service_release_memory": "self, svc_id",
        "service_get_info": "self, svc_id",
        "service_get_live_config": "self, svc_id",
        "service_set_live_config": "self, svc_id, config",
    },
    "oio.directory.client.DirectoryClient": {
        "__init__": "self, conf",
        "create": f"{WHO}, properties=None",
        "has": f"{WHO}, cid=None",
        "list": f"{WHO}, service_type=None, cid=None",
        "delete": f"{WHO}, cid=None",
        "link": f"{WHO}, service_type=None, cid=None, autocreate=False",
        "unlink": f"{WHO}, service_type=None, cid=None",
        "renew": f"{WHO}, service_type=None, cid=None",
        "force": f"{WHO}, service_type=None, services=None, cid=None, autocreate=False, replace=False",
        "get_properties": f"{WHO}, properties=None, cid=None",
        "set_properties": f"{WHO}, properties=None, cid=None, clear=False",
        "del_properties": f"{WHO}, properties=None, cid=None",
        "show": None,
        "destroy": None,
    },
    "oio.directory.meta.MetaMapping": {
        "__init__": "self, conf, service_types, admin_client=None, conscience_client=None, logger=None, "
        "rdir_client=None",
        "reset": "self",
        "apply": "self, moved=None",
        "get_cid_and_seq": "base",
        "_get_old_peers_by_base": "self, base",
        "_get_peers_by_base": "self, base",
        "_get_service_type_by_base": "self, base",
        "_apply_link_services": "self, moved=None",
    },
    "oio.directory.meta0": {
        "count_prefixes": "digits",
        "generate_short_prefixes": "digits",
        "generate_prefixes": "digits",
    },
    "oio.directory.meta0.Meta0Client": {"__init__": "self, conf", "force": "self, mapping", "list": "self"},
    "oio.directory.meta0.Meta0PrefixMapping": {
        "__init__": "self, meta0_client, replicas=3, digits=None, min_dist=1",
        "num_bases": "self",
        "get_loc": "self, svc, default=None",
        "dist_between": "loc1, loc2",
        "get_score": "self, svc",
        "get_managed_bases": "self, svc",
        "prefix_to_base": "self, prefix",
        "prefix_siblings": "self, prefix",
        "assign_services": "self, base, services, fail_if_already_set=False",
        "count_pfx_by_svc": "self",
        "check_replicas": "self",
        "to_json": "self, bases=None",
        "load_json": "self, json_mapping=None",
        "load_meta0": "self, json_mapping=None",
        "bootstrap": "self, level='volume', degradation=0",
        "decommission": "self, svc, bases_to_remove=None, strategy=None",
        "rebalance": "self, max_loops=65536",
        "find_services_less_bases": "self, known=None, min_score=1",
        "find_services_more_availability": "self, known=None, min_score=1",
        "__bool__": "self",
    },
    "oio.directory.meta2.Meta2Database": {
        "__init__": "self, conf, logger=None, admin_client=None, conscience_client=None, rdir_client=None, "
        "directory_client=None, service_type='meta2'",
        "reload_all_services": "self",
        "reset_peers": "self",
        "get_cid_and_seq": "base",
        "move": "self, base, src, dst=None",
        "rebuild": "self, base",
    },
    "oio.directory.meta2_rebuilder.Meta2Rebuilder": {
        "__init__": "self, conf, input_file=None, service_id=None",
        "create_worker": "self, queue_workers, queue_reply",
        "string_from_item": "item",
    },
    "oio.directory.meta2_rebuilder.ContentRepairerWorker": {
        "__init__": "self, tool, queue_workers, queue_reply",
        "_process_item": "self, item",
    },
    "oio.directory.indexer.Meta2IndexingWorker": {
        "__init__": "self, volume_path, conf, pool_manager=None",
        "report": "self, tag",
        "index_meta2_database": "self, db_id",
        "crawl_volume": "self",
        "run": "self",
        "stop": "self",
    },
    "oio.directory.indexer.Meta2Indexer": {"__init__": "self, conf", "run": "self", "stop": "self"},
    "oio.conscience.client.ConscienceClient": {
        "all_services": "self, type_, full=False",
        "service_types": "self",
        "local_services": "self",
        "register": "self, services",
        "deregister": "self, services",
        "lock_score": "self, infos_srv",
        "unlock_score": "self, infos_srv",
        "resolve": "self, srv_type, service_id",
        "resolve_service_id": "self, service_type, service_id",
        "resolve_url": "self, service_type, url",
    },
    "oio.rdir.client.RdirClient": {
        "__init__": "self, conf, directory_client=None, cache_duration=60.0, logger=None",
        "meta2_index_create": "self, volume_id",
        "meta2_index_push": "self, volume_id, container_url, container_id, mtime",
        "meta2_index_delete": "self, volume_id, container_path=None, container_id=None",
        "meta2_index_fetch": "self, volume_id, prefix=None, marker=None, limit=4096",
        "meta2_index_fetch_all": "self, volume_id",
    },
}
BASES = {
    "oio.directory.admin.AdminClient": ProxyClient,
    "oio.directory.client.DirectoryClient": ProxyClient,
    "oio.directory.meta0.Meta0Client": ProxyClient,
    "oio.directory.meta2_rebuilder.Meta2Rebuilder": Tool,
    "oio.directory.meta2_rebuilder.ContentRepairerWorker": ToolWorker,
    "oio.directory.indexer.Meta2Indexer": Daemon,
    "oio.common.client.ProxyClient": HttpApi,
    "oio.rdir.client.RdirClient": HttpApi,
}


def found(path: str) -> Any:
    """A module or a class by its dotted name."""
    module, _, name = path.rpartition(".")
    return (
        getattr(importlib.import_module(module), name) if name[0].isupper() else importlib.import_module(path)
    )


def written(function: Any) -> str:
    """The parameters as in a definition, without annotations and collecting ones."""
    parts = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        parts.append(f"{parameter.name}{default}")
    return ", ".join(parts)


@pytest.mark.parametrize("path", SIGNATURES)
def test_names_and_signatures_are_those_that_programs_know(path: str) -> None:
    owner = found(path)
    assert inspect.getdoc(owner)
    for name, wanted in SIGNATURES[path].items():
        function = getattr(owner, name)
        if wanted is not None:
            assert written(function) == wanted, f"{path}.{name}"
        if name not in ("__init__", "_process_item", "_fetch_items"):
            assert inspect.getdoc(function), f"{path}.{name} has no docstring"


@pytest.mark.parametrize("path", BASES)
def test_base_classes(path: str) -> None:
    assert issubclass(found(path), BASES[path])


@pytest.mark.parametrize("path", [path for path in SIGNATURES if path.endswith("Client")])
def test_methods_hand_down_what_they_do_not_know(path: str) -> None:
    for name in SIGNATURES[path]:
        parameters = inspect.signature(getattr(found(path), name)).parameters.values()
        assert any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters), name
