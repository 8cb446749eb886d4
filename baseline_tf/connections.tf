# B3: Glue connections. A network connection holds one subnet, so there is one per zone; jobs name all three.
# Beside them one per database or broker that domain.json declares. They say where it is and never who: the credentials are secrets of
# projects; a database's connection names the platform's own secret of the same name, which Glue reads only when asked to test it.

locals {
  jdbc_urls = {
    for name, place in var.reachable : name => {
      postgresql = "jdbc:postgresql://${place.host}:${place.port}/${place.database}"
      mysql      = "jdbc:mysql://${place.host}:${place.port}/${place.database}"
      sqlserver  = "jdbc:sqlserver://${place.host}:${place.port};databaseName=${place.database}"
      oracle     = "jdbc:oracle:thin://@${place.host}:${place.port}/${place.database}"
    }[place.kind] if place.kind != "kafka"
  }
}

resource "aws_glue_connection" "network" {
  for_each = local.subnets

  name            = replace(local.names.connection, "{zone}", each.key)
  description     = "Glue jobs in the domain's VPC, zone ${each.key}"
  connection_type = "NETWORK"
  tags            = local.tags

  physical_connection_requirements {
    availability_zone      = aws_subnet.private[each.key].availability_zone
    subnet_id              = aws_subnet.private[each.key].id
    security_group_id_list = [aws_security_group.workers.id]
  }

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}

resource "aws_glue_connection" "reachable" {
  for_each = var.reachable

  name            = replace(local.names.reachable_connection, "{name}", each.key)
  description     = "${each.key}: ${each.value.kind}, declared in domain.json"
  connection_type = each.value.kind == "kafka" ? "KAFKA" : "JDBC"
  tags            = local.tags

  connection_properties = each.value.kind == "kafka" ? {
    KAFKA_BOOTSTRAP_SERVERS = "${each.value.host}:${each.value.port}"
    KAFKA_SSL_ENABLED       = "true"
    } : {
    JDBC_CONNECTION_URL = local.jdbc_urls[each.key]
    JDBC_ENFORCE_SSL    = "true"
    SECRET_ID           = replace(replace(local.names.secret, "{project}", "platform"), "{name}", each.key)
  }

  physical_connection_requirements {
    availability_zone      = aws_subnet.private[var.zones[0]].availability_zone
    subnet_id              = aws_subnet.private[var.zones[0]].id
    security_group_id_list = [aws_security_group.workers.id]
  }

  lifecycle {
    ignore_changes = [tags["git_sha"], tags["deployed_by"], tags["repository"]]
  }
}
