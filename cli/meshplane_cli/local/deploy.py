"""What `up` puts onto an embedded AWS that runs: the baseline, the platform's release, the plane from `template.yaml`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from meshplane.model.resource import Owner, ownership_tags
from meshplane_cli.local import seed
from meshplane_cli.local.place import ENV
from meshplane_cli.local.template import Deployed, deploy
from meshplane_cli.local.template.handlers import Target
from meshplane_cli.platform import publish_platform
from meshplane_cli.releases import provenance

if TYPE_CHECKING:
    from meshplane_cli.local.stack import Stack

Say = Callable[[str], None]
PLATFORM = "platform"  # the owner of what SAM owns; no project may be called so


def deploy_plane(stack: Stack, say: Say) -> Deployed:
    """Idempotent: what is there and unchanged is left alone."""
    naming, client = stack.naming, cache(stack.client)
    started = time.monotonic()
    baseline = seed.seed(client, naming, stack.place.domain(), stack.place.root)
    say(f"baseline: buckets, key, network, databases, parameters ({time.monotonic() - started:.1f} s)")
    release = publish_platform(client, naming, stack.place.root)
    say(f"platform release: {release.library}")
    domain = stack.place.domain()
    parameters = {
        "Env": ENV,
        "DomainAbbr": domain.domain_abbr,
        "CountryCode": domain.country_code,
        "KmsKeyArn": baseline.kms_key_arn,
        "BoundaryArn": baseline.boundary_arn,
    }
    target = Target(client, naming.of("stack"), naming.region, naming.account_id)
    started = time.monotonic()
    tags = {**ownership_tags(Owner(domain.domain_name, ENV, PLATFORM)), **provenance(stack.place.root).tags()}
    done = deploy(stack.place.root / "template.yaml", parameters, target, naming.bucket("artifacts"), tags)
    say(
        f"control plane from template.yaml: {len(done.made)} resources made or changed, {len(done.unchanged)} unchanged, "
        f"{len(done.removed)} removed ({time.monotonic() - started:.1f} s)"
    )
    return done
