"""OpenIO's service directory: the importable package and the services behind it."""
