"""The command line and the embedded AWS: never deployed."""
