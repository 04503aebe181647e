"""Wire format of generation 2 of the bus: pure functions over plain values, no I/O.

Source of every format: `threefoldtech/rmb-rs` v1.5 and the Go SDK (`tfgrid-sdk-go: rmb-sdk-go`).
"""
