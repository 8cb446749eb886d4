"""Where a project's own code runs in a function of the plane: a Starlark file, in a process that has nothing. Called through `wiring`."""
