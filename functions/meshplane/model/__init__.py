"""The words of Meshplane as frozen values, and the pure rules about them; imports nothing of AWS and no other part of Meshplane.

Reading order: `project` (what a manifest means), `types`, `naming`, `resource` (ids, owners, wants), `context`, `release`, then `manifest`
(the package that reads, judges and normalises the text, with `reading`, `shape` and `problems`), `access` (who may do what), `asl` and
`own_asl` (pipelines), `runs` with `slots` and `windows`, `status`.
"""
