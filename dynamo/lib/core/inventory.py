"""Inventories under the names that programs import."""

from dynamo.core.dynamoinventory import BatchRefused, DynamoInventory
from dynamo.core.objectrepository import Command, ObjectRepository
from dynamo.core.proxy import InventoryProxy

__all__ = ["BatchRefused", "Command", "DynamoInventory", "InventoryProxy", "ObjectRepository"]
