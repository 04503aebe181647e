"""Leases with fencing tokens: who may be master, for how long, and under which number."""

from oio.service.lease.base import Lease, LeaseError, LeaseStore

__all__ = ["Lease", "LeaseError", "LeaseStore"]
