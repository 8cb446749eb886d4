"""Meshplane: what Lambda ships. Read `flows.reconcile_project` first; `docs/architecture.md` draws the layers.

Imports point one way: handlers -> wiring -> (flows | aws | net) -> ports -> plan -> kinds -> model -> errors.
"""
