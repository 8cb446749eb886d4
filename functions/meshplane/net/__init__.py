"""HTTP towards the hosts that `domain.json` declares: the only code that calls anything but AWS. Used through `wiring`."""
