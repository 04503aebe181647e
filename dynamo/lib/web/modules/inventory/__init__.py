"""What the inventory holds, as data and as pages."""

from dynamo.web.modules.inventory._blocks import BlockReplicas, FileData, Subscriptions
from dynamo.web.modules.inventory._changes import DeleteSync, InjectSync
from dynamo.web.modules.inventory._pages import SitesPage, StatsPage
from dynamo.web.modules.inventory._queued import Delete, Inject
from dynamo.web.modules.inventory._requests import RequestList, TransferRequests
from dynamo.web.modules.inventory._sites import Datasets, Groups, Lfn2Pfn, Nodes, Sites
from dynamo.web.modules.inventory._stats import Replication, Size, Usage

export_data = {
    "sites": Sites,
    "datasets": Datasets,
    "groups": Groups,
    "nodes": Nodes,
    "lfn2pfn": Lfn2Pfn,
    "blockreplicas": BlockReplicas,
    "data": FileData,
    "subscriptions": Subscriptions,
    "stats/size": Size,
    "stats/replication": Replication,
    "stats/usage": Usage,
    "requestlist": RequestList,
    "transferrequests": TransferRequests,
    "inject": Inject,
    "delete": Delete,
    "injectsync": InjectSync,
    "deletesync": DeleteSync,
}

export_web = {"stats": StatsPage, "sites": SitesPage}
