"""The embedded AWS: moto's server repaired at start-up, our router, clock and workers. Started by `meshplane local up`."""
