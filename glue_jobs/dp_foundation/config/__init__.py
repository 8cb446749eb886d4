"""Configuration of a job: settings, what the plane passed as arguments, names, secrets."""
