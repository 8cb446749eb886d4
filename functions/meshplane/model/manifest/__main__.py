"""`python -m meshplane.model.manifest > docs/manifest.schema.json`: the JSON Schema, for the commit. Run by developers and `dev`."""

import json
import sys

from meshplane.model.manifest import schema

sys.stdout.write(json.dumps(schema(), indent=1, ensure_ascii=False) + "\n")
