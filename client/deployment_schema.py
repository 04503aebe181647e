"""The JSON Schema of deployment files, for editors; kept in `docs/deployment.schema.json`."""

from __future__ import annotations

import json
from typing import Any

from client.deployment_file import DeploymentFile

ADDRESS = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Draft 2020-12.  What only the whole file tells (references between its parts) is not in it."""
    found = DeploymentFile.model_json_schema()
    return {"$schema": ADDRESS, **found, "title": "Deployment file of zos"}


def text() -> str:
    return json.dumps(schema(), indent=2, sort_keys=True) + "\n"
