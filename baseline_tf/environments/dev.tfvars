# dev: the cheapest that behaves the same.
vpc_cidr       = "10.0.0.0/16"
endpoint_zones = 1 # interface endpoints are paid per zone and hour; jobs in the other zones reach them across zones
