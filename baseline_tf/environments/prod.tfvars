# prod: outlives the loss of a zone.
vpc_cidr       = "10.2.0.0/16"
endpoint_zones = 3
