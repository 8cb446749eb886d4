"""From what is wanted and what is seen to what is done, and to what is said of it: pure, the same for plan and reconcile.

Reading order: `compile` (wants by the graph of needs), `planner` (one action per resource), `guard` (what needs a decision), `outcome`,
`retry`, `conditions` (the status), `render` (the plan as text and JSON), `record` (what is remembered). `digest`, `shares` and `consumers`
are used by several of them.
"""
