"""What a run leaves behind: which files it read, what it committed, how it ended (docs/contracts.md §3)."""
