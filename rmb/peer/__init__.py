"""The daemon that carries messages between twins: Redis lists on one side, HTTP to other peers on the other."""
