"""Access as AWS decides it: every request of a role is judged by that role's policies. Our own evaluator, since moto's knows neither
boundaries nor conditions nor most resources.

`judge` decides; `operations` says what each operation needs, `policy` what a document allows, `world` what stands in the embedded AWS,
`refusals` how each protocol says no.
"""

from meshplane_cli.local.access.judge import Denial, Judge, UnknownKey
from meshplane_cli.local.access.world import World

__all__ = ["Denial", "Judge", "UnknownKey", "World"]
