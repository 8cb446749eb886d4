"""What happens, step by step, over ports: no boto3, no environment, no clock of its own. Called by the handlers.

Reading order for projects: `reconcile_project`, `preparation` (what a manifest needs around it), `converge` (rounds of look, plan, guard,
apply), `apply`, `closing` (record, status, history, when next), `remove_project`, `sweep_projects`, `plan_project`. For runs:
`start_run`, `run_slots`, `record_run`, `sweep_runs`, `open_runs`, `publish_tables`.
"""
