# int: as prod, but endpoints in one zone.
vpc_cidr       = "10.1.0.0/16"
endpoint_zones = 1
