"""The job library: what every Glue job of the domain imports."""
