"""Classes of the inventory: datasets, blocks, files, sites, partitions and their replicas."""

from dynamo.dataformat.block import Block
from dynamo.dataformat.blockreplica import BlockReplica
from dynamo.dataformat.configuration import Configuration
from dynamo.dataformat.dataset import Dataset
from dynamo.dataformat.datasetreplica import DatasetReplica
from dynamo.dataformat.exceptions import (
    ConfigurationError,
    DynamoError,
    IntegrityError,
    ObjectError,
    OperationalError,
)
from dynamo.dataformat.file import File
from dynamo.dataformat.group import Group
from dynamo.dataformat.history import HistoryRecord
from dynamo.dataformat.partition import Partition
from dynamo.dataformat.site import Site
from dynamo.dataformat.sitepartition import SitePartition

__all__ = [
    "Block",
    "BlockReplica",
    "Configuration",
    "ConfigurationError",
    "Dataset",
    "DatasetReplica",
    "DynamoError",
    "File",
    "Group",
    "HistoryRecord",
    "IntegrityError",
    "ObjectError",
    "OperationalError",
    "Partition",
    "Site",
    "SitePartition",
]
