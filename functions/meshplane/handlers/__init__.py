"""The entry points, one module per function of `template.yaml`: an event in, one flow called, one log line out. No logic.

Reading order: `reconcile_project` (the plane's heart), `sweep_projects` (what no event told), `plan_project` (what would change), then
runs: `start_run`, `record_run`, `publish_tables`. Each takes its ports from `meshplane.wiring`.
"""
