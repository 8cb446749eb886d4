"""Side effects on AWS: the only importer of boto3 and pyiceberg.

Reading order: `clients` (one session for all), `faults` (errors translated once), `listings` (what several kinds share), then
`kinds/` (the adapters).
"""
